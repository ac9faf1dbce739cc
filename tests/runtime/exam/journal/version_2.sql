BEGIN TRANSACTION;
CREATE TABLE deliveries(
  exam TEXT,
  destination TEXT,
  revision INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  next_try TEXT,
  last_error TEXT NOT NULL,
  instances TEXT NOT NULL,    -- JSON
  checksum TEXT NOT NULL,     -- SHA-256 over the rest of the row
  PRIMARY KEY(exam, destination)
) WITHOUT ROWID;
INSERT INTO "deliveries" VALUES('20261122-9YEPLPS3','archive',6,'waiting',0,NULL,'','[{"kind":"report","sop_class":"1.2","state":"unsent","uid":"2.25.1"}]','9cf699c323236a17a832ac44a1080754db0a4ca7d017a566ce6740642d563edd');
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
INSERT INTO "events" VALUES(1,NULL,'created','2026-11-22T12:00:00+00:00','software','{"journal_id":"0c9c4f5c-108d-48bf-b4f6-88eb3742c47e","key_check":"7f32c67e32c13b11","version":2}','a6099b192e5ba458c4a261b05a6ccc165a6526429b8c2c5bd39a0acc78801d91','68491337870ec14e927f4ed680083479d9a63911fcb3e0e91d673910cce31690');
INSERT INTO "events" VALUES(2,'20261122-9YEPLPS3','opened','2026-11-22T12:00:00+00:00','anna','{"patient":{"nonce":"hKNV7Mb84WXBdZUi","sealed":"VOxa/AOqk4AwooAz6wQtJ+u2z8ewGn0Hp9DK22ntttwvGFmcBX/SHFkVev2f320LZ5LlXaBoKlq93EqRXwCNYF+ILp/qUWaC37uxZXsRoYT6s1aZLeeR7RdIlipmztEfk/Gw0JHVkt+lXt+W+QiLHteRJWRb9lL3Lyxg1qRczVXRp4Uan6HaAfDw"},"rules":{"bundle":{"name":"test","notice":"Screening aid; not a medical device.","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","version":"1"},"refer_classes":["ridge"],"required_views":["disc-centred","temporal","nasal","superior","inferior"],"retakes":3,"site_profile_sha256":null,"software":"0","threshold":0.5},"station":"cart 1"}','0a784f0544ac9692929edeeae98e7e02b7b4389a469482fabce7eb70fe23d549','d88005ba80a4ee692f5628b22b56a8cf44f8c281435839a52fa09051c903d09e');
INSERT INTO "events" VALUES(3,'20261122-9YEPLPS3','captured','2026-11-22T12:00:00+00:00','anna','{"captured_at":"2026-11-22T12:00:00+00:00","eye":"OD","frame_sha256":null,"height":null,"image_sha256":null,"number":1,"sequence":0,"source":"","view":"disc-centred","width":null}','9ece3a999b6cb597f8fe2d58e48f63add72ff854b1367a3da5dda022bd6e94e7','2b1a26a90077a268bcca77a2fba35dbf85a11bab771140a11dbecd09680790f6');
INSERT INTO "events" VALUES(4,'20261122-9YEPLPS3','read','2026-11-22T12:00:00+00:00','software','{"capture":1,"reading":{"budget_ms":null,"bundle":{"name":"test","notice":"Screening aid; not a medical device.","sha256":"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb","version":"1"},"engine":{"backend":"fake","device":"none","plan_sha256":null,"precision":"fp32","why":""},"frame":{"captured_at":"2026-11-22T12:00:00+00:00","height":null,"sequence":0,"sha256":null,"source":"lost","width":null},"late":false,"outcome":"NO_RESULT","probabilities":null,"quality":{"detail":3.0,"gradable":false,"reasons":["blurred"]},"reason":"as told: NO_RESULT","schema":"rop.reading/1","timings_ms":{"capture":null,"classify":null,"decide":null,"preprocess":null,"quality":null,"segment":null,"total":10.0},"trust":null,"vessel_fraction":0.1},"vessels_sha256":null}','e9638e0aa6d9e6cc7e92a184f289a183f0a621bcdee98f18c9b27afd745168bf','54b1e57573a926c63767961980c97a7ededf5afd7cddb64485356f19ff81b027');
INSERT INTO "events" VALUES(5,'20261122-9YEPLPS3','amended','2026-11-22T12:00:00+00:00','bert','{"patient":{"nonce":"wHjOQ5w9IpOy76vN","sealed":"wgbzps9mVV2h3yaSpVPfgV+AlUUMItcTTt9eSil7wrT/nJ4dYo4YgRJ1RuC0eNIElztBgmb0SgwF6YYSLAaqfZQ2wZqNp1vVah3gZONPyCNogkRBoXzSOOobc0JR7UCRpcFmv3fa8GbAnI5XIV/p2I/OXov81dTCLCOS4Ke1n379G9GxNEPkpgD8"},"reason":"scale read again"}','e457a388fcba82d3575647a23db6ee31b6d20f4ca9788fd36cbb0888fea58eef','6f553acec3f482cf42d41a203200ed6f98869aa82038f2cf67e18181cd2e26ab');
INSERT INTO "events" VALUES(6,'20261122-9YEPLPS3','closed','2026-11-22T12:00:00+00:00','anna','{"outcome":"NO_RESULT","reason":"as told: NO_RESULT","where":"OD disc-centred"}','f3434034771762731124a3283ef300736d73b2de2a0829cb6eab8f0fdddf10b4','6f0a82a2a45f3f2f97200f1c94426884f8976024d4536bddc249a4892651a276');
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
) WITHOUT ROWID;
INSERT INTO "exams" VALUES('20261122-9YEPLPS3','closed','NO_RESULT','as told: NO_RESULT','OD disc-centred',1,0,'2026-11-22T12:00:00+00:00','2026-11-22T12:00:00+00:00','anna','cart 1',6);
CREATE TABLE images(sha256 TEXT, exam TEXT, PRIMARY KEY(sha256, exam)) WITHOUT ROWID;
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('head','6 6f0a82a2a45f3f2f97200f1c94426884f8976024d4536bddc249a4892651a276 805d7ace858a78c98a8e1dc437859c2bbd2566c1b2ea2c4b25ff1971ee81ede9');
INSERT INTO "meta" VALUES('journal_id','0c9c4f5c-108d-48bf-b4f6-88eb3742c47e');
INSERT INTO "meta" VALUES('key_check','7f32c67e32c13b11');
CREATE TABLE vessels(exam TEXT, capture INTEGER, png BLOB NOT NULL, PRIMARY KEY(exam, capture)) WITHOUT ROWID;
CREATE INDEX events_of_exam ON events(exam, seq);
CREATE UNIQUE INDEX one_open ON exams(phase) WHERE phase = 'open';
CREATE INDEX exams_pending ON exams(exam) WHERE pending > 0;
CREATE INDEX exams_changed ON exams(changed_seq);
CREATE INDEX images_of_exam ON images(exam);
COMMIT;
PRAGMA application_id = 1380929610;
PRAGMA user_version = 2;
