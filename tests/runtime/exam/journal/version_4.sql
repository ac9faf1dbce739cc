BEGIN TRANSACTION;
CREATE TABLE accounts(account TEXT, exam TEXT, PRIMARY KEY(account, exam)) WITHOUT ROWID;
INSERT INTO "accounts" VALUES('10cd9b87b8cd0022f8c3d1ae8aec75590855bb13c1561e3ecabdf6ba77421ba7','20261128-FGXCD3UQ');
CREATE TABLE deliveries(
  exam TEXT,
  destination TEXT,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_try TEXT,
  last_error TEXT NOT NULL,
  instances TEXT NOT NULL,    -- JSON
  checksum TEXT NOT NULL, typed INTEGER NOT NULL DEFAULT 0,     -- SHA-256 over the rest of the row
  PRIMARY KEY(exam, destination)
) WITHOUT ROWID;
INSERT INTO "deliveries" VALUES('20261128-Q59G8PRW','archive',9,'waiting',1,NULL,'slow','[{"asked":"","asked_at":"","kind":"photograph","note":"","revision":0,"series_uid":"","sop_class":"1.3","state":"sent","study_uid":"","uid":"1.2"}]','1b8f33039addfed395e38abe5c8b53762911415bc2abbe45e7f7bd29c160af3a',0);
CREATE TABLE events(
  seq INTEGER PRIMARY KEY,
  exam TEXT,                  -- NULL for events of the journal itself
  kind TEXT NOT NULL,
  at TEXT NOT NULL,           -- UTC, ISO 8601, by the clock as it was
  who TEXT NOT NULL,
  body TEXT,                  -- canonical JSON; NULL once the exam is retired
  body_sha256 TEXT NOT NULL,
  hash TEXT NOT NULL          -- SHA-256 over the previous hash and all of the above but the body itself
);
INSERT INTO "events" VALUES(1,NULL,'created','2026-11-28T21:12:47.507427+00:00','software','{"journal_id":"3da96ad2-6e0f-4caf-ae14-67dc6d894bb8","key_check":"7f32c67e32c13b11","version":4}','0a086a831f4000cfb9b71e5c8244d18e7a0e27d9141d1b0dc0406ecbf4d81b89','bcf792c920ec0d569cfeb79abfdce5557be0d9656b895992226f016fe4682078');
INSERT INTO "events" VALUES(2,'20261128-QPNGSXCB','opened','2026-11-28T21:12:47.631658+00:00','anna',NULL,'320e5ed606197d588c6f3dc08ffc6645e323f4960be3ab4b960aabcc85cf3a63','082a07febe0f1ba4f9af76ddda9a339e4a64022f747db84df5a4561a732236d8');
INSERT INTO "events" VALUES(3,'20261128-QPNGSXCB','captured','2026-11-28T21:12:47.718882+00:00','anna',NULL,'94d5fc5291df3425b3175dd6a171f9f675745cd0b6efdee0b0d36dc4c7d30179','bdbc539dfcda8dc050f5ff6c924f789ae3923f91b4fc1fa143b4a47cdd1bff4f');
INSERT INTO "events" VALUES(4,'20261128-QPNGSXCB','read','2026-11-28T21:12:47.747604+00:00','software',NULL,'7bdb6854f08f01679a491c6dce18b91d53f2d055948e9acaf1e6505bdb76d754','8254ae237c4fe1d0c1e99e04bd1c9e1803530f4f88728500a6688384cd1071da');
INSERT INTO "events" VALUES(5,'20261128-QPNGSXCB','captured','2026-11-28T21:12:47.793535+00:00','anna',NULL,'f20a95281f4c62badc15601f254e6e3cb1db6bdd1f15f274ca37905b33906ea2','3be5cfaecd9fecc1580fa9e953afa6d288c2550e5d717c0051acea1a1317243e');
INSERT INTO "events" VALUES(6,'20261128-QPNGSXCB','read','2026-11-28T21:12:47.806073+00:00','software',NULL,'e11cb3aee3aa8076a09b636c4833966d06ecf367cb6ccaa1992e3ec8c7337294','f817709b179743bf2123d66fe500859a0f5757908fd2c6014e50235d298c0d92');
INSERT INTO "events" VALUES(7,'20261128-QPNGSXCB','closed','2026-11-28T21:12:47.821549+00:00','anna',NULL,'f0b12f1b0aa2b17d660e43d366212c3c61e5f4274edfd0e751a9257a02c9549d','7ad425cc7abc1d613471050658710acef5c18761a7c9c128155fbb8b7f50e87b');
INSERT INTO "events" VALUES(8,'20261128-QPNGSXCB','retired','2026-11-28T21:12:47.853478+00:00','anna','{"accounts":[],"exposures":[],"images":["86ca4858a812e301cd2fbb5c15d92968f2ceaf5a25dd1aa55308fcb89891a1bc","9f0ac7e7f9e1af1a358703a4c033e941fa41cd2170effd6d73ee07f50b90fff9"],"summary":["20261128-QPNGSXCB","closed","RETAKE","as told: RETAKE","OD temporal",2,0,"2026-11-28T21:12:47.631658+00:00","2026-11-28T21:12:47.821549+00:00","anna","cart 1",7,2,0,0]}','7e58c9c91fadbf7c12963681aed5fdce07516502f3ab54acb285458a953d27b1','428ff3a3c5955e67d2f1b311449f4637234adae3f9e33914e6b958d2553ddcf7');
INSERT INTO "events" VALUES(9,'20261128-Q59G8PRW','opened','2026-11-28T21:12:47.902346+00:00','anna','{"patient":{"nonce":"bSFCIE45gRBa3CK/","sealed":"/ziHk/nuWgqCC49dBYXrtntyVBB2Ka07UueD2QTzw5XRJt1y8+Mj5fLGYdz0GFJLuJPoVuP3LCQqFCVyHid7VtptjEtzkfmid54EM/Pehtf1J/2WLkn7nmwuAjrrB1Z2b9uHZEbVZvNNtUvfy60wM5/yG4BXFRuFU7fzhjeOS6NVYm8ZXebaTZWfhLjugLUZVmuao9IfSdV0dg=="},"rules":{"bundle":{"name":"test","notice":"Screening aid; not a medical device.","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","version":"1"},"refer_classes":["ridge"],"required_views":["disc-centred","temporal","nasal","superior","inferior"],"retakes":3,"site_profile_sha256":null,"software":"0","threshold":0.5},"station":"cart 1","utc_offset_s":0}','df9b6f707cae2a88bfdf27dee01d842dac4968e3f15d78e2f4fc9d7cd3a49233','8077e05d28f3fc5275cbdd0467ffaec396dc64a33b3784048b43c6977ccdcad9');
INSERT INTO "events" VALUES(10,'20261128-Q59G8PRW','captured','2026-11-28T21:12:47.934609+00:00','anna','{"captured_at":"2026-11-28T21:12:47.917633+00:00","eye":"OD","frame_sha256":"941404362eaa66936c1ca22245fb71684199ec4bbdcca1cc8c08ec9480f5fcf0","height":64,"image_sha256":"463724c4c005b0def84afddc09f53bafad230e80bc2c7e944744f12decf1a660","number":1,"sequence":3919351455,"source":"test:3919351455","view":"disc-centred","width":64}','de8ccd9eee6b9525579d0eca2c0f472ddeb2fe7f76c2da37ad65ac629890aca2','e39b27f58d7d3b67df30eabe4e56a8a3b13d671e0896f15ac13711f5d297b924');
INSERT INTO "events" VALUES(11,'20261128-Q59G8PRW','read','2026-11-28T21:12:47.958458+00:00','software','{"capture":1,"reading":{"budget_ms":null,"bundle":{"name":"test","notice":"Screening aid; not a medical device.","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","version":"1"},"engine":{"backend":"fake","device":"none","plan_sha256":null,"precision":"fp32","why":""},"frame":{"captured_at":"2026-11-28T21:12:47.917633+00:00","height":64,"sequence":3919351455,"sha256":"941404362eaa66936c1ca22245fb71684199ec4bbdcca1cc8c08ec9480f5fcf0","source":"test:3919351455","width":64},"late":false,"outcome":"NO_REFERRAL_FINDINGS","probabilities":{"none":0.9,"ridge":0.1},"quality":{"detail":3.0,"gradable":true,"reasons":[]},"reason":"as told: NO_REFERRAL_FINDINGS","schema":"rop.reading/1","timings_ms":{"capture":null,"classify":null,"decide":null,"preprocess":null,"quality":null,"segment":null,"total":10.0},"trust":null,"vessel_fraction":0.1},"vessels_sha256":"284b40750bf4897a84f5191c8b8f294132be19cf4b0139fc6db09cfe9ab6eb09"}','73ae3cf14900be972bc596ee17e792d8fa271a9efd36ac68001500f479487ce1','414979e333b1b32622066aee991385b4b84795fce1af3586df67f16879181de3');
INSERT INTO "events" VALUES(12,'20261128-Q59G8PRW','captured','2026-11-28T21:12:47.991659+00:00','anna','{"captured_at":"2026-11-28T21:12:47.970122+00:00","eye":"OD","frame_sha256":"deb15df37a26b33ca1deeb64f1318928beae60bc11cc5a5ef03b73177afd7909","height":64,"image_sha256":"af273d4f8ee4bea2d46c998f4c7fd61bad3517d3dce096b1b05edfd3028b1520","number":2,"sequence":1888870181,"source":"test:1888870181","view":"temporal","width":64}','31de3d1f048d70411f83dbe1fdbcbfe4aca91979f0de3472e6fd866172e3341c','aeb8c673d70f62a263494b77c44ea95af5d04619817e9df8748b44353bf83c4d');
INSERT INTO "events" VALUES(13,'20261128-Q59G8PRW','read','2026-11-28T21:12:48.037730+00:00','software','{"capture":2,"reading":{"budget_ms":null,"bundle":{"name":"test","notice":"Screening aid; not a medical device.","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","version":"1"},"engine":{"backend":"fake","device":"none","plan_sha256":null,"precision":"fp32","why":""},"frame":{"captured_at":"2026-11-28T21:12:47.970122+00:00","height":64,"sequence":1888870181,"sha256":"deb15df37a26b33ca1deeb64f1318928beae60bc11cc5a5ef03b73177afd7909","source":"test:1888870181","width":64},"late":false,"outcome":"REFER","probabilities":{"none":0.09999999999999998,"ridge":0.9},"quality":{"detail":3.0,"gradable":true,"reasons":[]},"reason":"as told: REFER","schema":"rop.reading/1","timings_ms":{"capture":null,"classify":null,"decide":null,"preprocess":null,"quality":null,"segment":null,"total":10.0},"trust":null,"vessel_fraction":0.1},"vessels_sha256":"284b40750bf4897a84f5191c8b8f294132be19cf4b0139fc6db09cfe9ab6eb09"}','d8d40cb5d839bfe3889d4bbfb29519eaeb1fcc17b25a854cd392de727b80d799','2afe59b8d9fc8f120a5131a8283479da3e45944ae491702a53a57114c90691b2');
INSERT INTO "events" VALUES(14,'20261128-Q59G8PRW','closed','2026-11-28T21:12:48.038915+00:00','anna','{"outcome":"REFER","reason":"as told: REFER","where":"OD temporal"}','9e62b2ebc47446c8d214e14fb3cd62a7e71ab6ee74dc081cf477ebc787fcfadf','639fa89d5e40c773113cd39c33813882046182d2c063d7e1eeedd297a0bd91a8');
INSERT INTO "events" VALUES(15,'20261128-Q59G8PRW','relabelled','2026-11-28T21:12:48.065633+00:00','bert','{"capture":1,"eye":"OS","reason":"wrong side","view":"nasal"}','8e57dde50ed765aa103b34fa272c18671560b469235af0fc4319ff813e2c4eae','f389e9efae310b7f34914a7d0cbae02fa12f5c8e395ccff8bdb5428747862476');
INSERT INTO "events" VALUES(16,'20261128-Q59G8PRW','amended','2026-11-28T21:12:48.086472+00:00','bert','{"account":"5ec57295444166e80cbbe752bbb2bf1b3fa61c1462dad4f68ab304f2bd887754","order":{"nonce":"/dopu7ldLixL0uhc","sealed":"YNrFivC8WxyT3W0tIHN5BYMRvyQZ5lueKoVQ25n9rlON60/ZKyNlcbffULLlixRHdbtN33rE1wje8kQeXOewzH2UqLpzBTUE++c79Fvld9zfGOkP/N3XuhExJ36DUK5VjWTA+weM6V6qtqN6JN/bJt3Za0YyetlhL76rnGKZ4HMiKdsjhKsw"},"patient":{"nonce":"abRA8KdrngChCGML","sealed":"+IjF7NMh/fTOEoUL5UQwLeBeLvpiwy4EHxBYsSlGtu3dklIBAdyEPQcpeoP7vcf5k6i/LDfsdftrzUfTozQ7dYVDLEWID/48geCmrtugC9U/dQkyNyUMwKeiQplJCG7ghJR4HtPnZSYAuG85KtVPVDD7DbRiypgzm+fI+y9cugFyWmJEE1dZBYCQ6WEI8HRDp44+a3dpSZg7"},"reason":"typing error"}','36749223e5d90746b69c847338eb03258a2df252fb973a59d38104d87a328ccb','3bdfcfc5803caccf50a1e652da04f176d2cad62173dfe25d5d7b47d6bc08e16c');
INSERT INTO "events" VALUES(17,'20261128-Q59G8PRW','documented','2026-11-28T21:12:48.089329+00:00','dr','{"a_rop":false,"eye":"OD","notch":false,"note":"seen","plus":null,"stage":"2","zone":null}','41b21c6cc085ec6fd3024e9f24cd7984ef75b0dd4fb8116b6044531dbb3d8e8d','27a2af8fae5543f16af72a036def569353fa855fd3fdda1c6a8c782f739c27ef');
INSERT INTO "events" VALUES(18,'20261128-FGXCD3UQ','opened','2026-11-28T21:12:48.110247+00:00','anna','{"patient":{"nonce":"036sRPKDUf5MesR5","sealed":"Lvl54/RcV6u8ODRUqmp7e+hv9QUwVkaPw/Sd5sQMyrDp8u2oMXISJi/97yH0x1hR3nBeaDIEv4vTzfbEOz9PzVz0Q2kAHMJD6NOquwO5m5HwLSdXMgbdCWJyuawbzl0/d+8lFHbsJNEq/fKWXvUZc4fRcS45P1VRNIkcTkL0xOyL/a8ibiWuAfKq8iF1/6ODLslOGMvxpC+p6A=="},"rules":{"bundle":{"name":"test","notice":"Screening aid; not a medical device.","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","version":"1"},"refer_classes":["ridge"],"required_views":["disc-centred","temporal","nasal","superior","inferior"],"retakes":3,"site_profile_sha256":null,"software":"0","threshold":0.5},"station":"","utc_offset_s":0}','c1aa29019deef27d435cd97d630856cdc2fdf43cf3069b16edb0f80d00f1a08f','89125af4d10691e3c08540d1d85500a73e3fdeee6aa11b628f4154c804fdac51');
INSERT INTO "events" VALUES(19,'20261128-FGXCD3UQ','exposed','2026-11-28T21:12:48.118156+00:00','anna','{"account":"10cd9b87b8cd0022f8c3d1ae8aec75590855bb13c1561e3ecabdf6ba77421ba7","board":"00","boot":"b","duration_s":0.01,"ended":"2026-11-28T10:00:00+00:00","eye":"OD","hazards":{},"kind":"flash","level":9,"run":"r1","state":"given","uptime_s":1.0}','b74d10472850aca6f6c7f344218c2ede15ab0a1a263dffa965234029b0b60698','6a035b75cd2bdb2a42a17fa6c0669807a65b86af40fe35b20060c0d5cbfbc7d6');
INSERT INTO "events" VALUES(20,'20261128-FGXCD3UQ','voided','2026-11-28T21:12:48.130268+00:00','anna','{"outcome_before":"NO_RESULT","reason":"test"}','320a7f8eff160dd6b6cd0c73484752a8517d66d0b3818479b1488587ace77c94','4fc5be573dac93fc114c43146e7d6a5a91485217379bbd5ac020a5b5021d9662');
CREATE TABLE exams(
  exam TEXT PRIMARY KEY,
  phase TEXT NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  place TEXT NOT NULL,
  captures INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  opened_at TEXT NOT NULL,
  closed_at TEXT,
  operator TEXT NOT NULL,
  station TEXT NOT NULL,
  changed_seq INTEGER NOT NULL
, opened_seq INTEGER NOT NULL DEFAULT 0, typed_seq INTEGER NOT NULL DEFAULT 0, utc_offset_s INTEGER, checksum TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
INSERT INTO "exams" VALUES('20261128-FGXCD3UQ','voided','NO_RESULT','exam voided','',0,0,'2026-11-28T21:12:48.110247+00:00','2026-11-28T21:12:48.130268+00:00','anna','',20,18,20,0,'53205e1846f941c38d63d9f485d15a84022af28f1849d1fd57b2824837275300');
INSERT INTO "exams" VALUES('20261128-Q59G8PRW','closed','REFER','as told: REFER','OD temporal',2,0,'2026-11-28T21:12:47.902346+00:00','2026-11-28T21:12:48.038915+00:00','anna','cart 1',17,9,17,0,'aaa01e45b75484f5931f501df3fc9e6642f3798053f544c7ba664c4e4b23e6dd');
INSERT INTO "exams" VALUES('20261128-QPNGSXCB','retired','RETAKE','as told: RETAKE','OD temporal',2,0,'2026-11-28T21:12:47.631658+00:00','2026-11-28T21:12:47.821549+00:00','anna','cart 1',8,2,0,0,'d3150e2d6a2ad4c073f958a09e17c3cf0d127119033f8a40fab37d75db97b4ef');
CREATE TABLE exposures(run TEXT PRIMARY KEY, exam TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "exposures" VALUES('r1','20261128-FGXCD3UQ','{"account":"10cd9b87b8cd0022f8c3d1ae8aec75590855bb13c1561e3ecabdf6ba77421ba7","board":"00","boot":"b","duration_s":0.01,"ended":"2026-11-28T10:00:00+00:00","eye":"OD","hazards":{},"kind":"flash","level":9,"run":"r1","state":"given","uptime_s":1.0}');
CREATE TABLE images(sha256 TEXT, exam TEXT, PRIMARY KEY(sha256, exam)) WITHOUT ROWID;
INSERT INTO "images" VALUES('463724c4c005b0def84afddc09f53bafad230e80bc2c7e944744f12decf1a660','20261128-Q59G8PRW');
INSERT INTO "images" VALUES('af273d4f8ee4bea2d46c998f4c7fd61bad3517d3dce096b1b05edfd3028b1520','20261128-Q59G8PRW');
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('head','20 4fc5be573dac93fc114c43146e7d6a5a91485217379bbd5ac020a5b5021d9662 fe8430f63a022808047c9dc198cc09d34075f9bdf0a6458ca931a16a0764cb2f');
INSERT INTO "meta" VALUES('journal_id','3da96ad2-6e0f-4caf-ae14-67dc6d894bb8');
INSERT INTO "meta" VALUES('key_check','7f32c67e32c13b11');
CREATE TABLE vessels(exam TEXT, capture INTEGER, png BLOB NOT NULL, PRIMARY KEY(exam, capture)) WITHOUT ROWID;
INSERT INTO "vessels" VALUES('20261128-Q59G8PRW',1,X'89504E470D0A1A0A0000000D49484452000001000000010008000000007919F7BA000001BF494441547801EDD5C1110020100231F463FF1D5BC8C60E8E2172DEDAEFB6CFDF04A001F104108817C027880002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A205027F001178002070FAD2BA70000000049454E44AE426082');
INSERT INTO "vessels" VALUES('20261128-Q59G8PRW',2,X'89504E470D0A1A0A0000000D49484452000001000000010008000000007919F7BA000001BF494441547801EDD5C1110020100231F463FF1D5BC8C60E8E2172DEDAEFB6CFDF04A001F104108817C027880002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A2080403C0104E205B0020820104F00817801AC000208C41340205E002B800002F104108817C00A205027F001178002070FAD2BA70000000049454E44AE426082');
CREATE INDEX events_of_exam ON events(exam, seq);
CREATE UNIQUE INDEX one_open ON exams(phase) WHERE phase = 'open';
CREATE INDEX exams_pending ON exams(exam) WHERE pending > 0;
CREATE INDEX exams_changed ON exams(changed_seq);
CREATE INDEX images_of_exam ON images(exam);
CREATE INDEX exams_opened ON exams(opened_seq);
CREATE INDEX events_of_kind ON events(kind, seq);
CREATE INDEX exposures_of_exam ON exposures(exam);
COMMIT;
PRAGMA application_id = 1380929610;
PRAGMA user_version = 4;
