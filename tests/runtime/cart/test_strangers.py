"""Who has no session, or another one, gets nothing and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import CLINICIAN, PIN
from tests.runtime.cart.driving import Driver, driven


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with driven(tmp_path_factory.mktemp("cart")) as driver:
        driver.sign_in()
        driver.open_exam()
        driver.picture("OD", "disc-centred")
        yield driver


OPEN = {"/", "/favicon.ico", "/pages", "/api/1/openapi.json", "/api/1/welcome", "/api/1/sign-in", "/api/1/sign-out"}
OPEN |= {"/api/1/texts/{language}"}


def test_without_a_session_every_path_of_the_description_says_no(cart: Driver) -> None:
    described = cart.get("openapi.json").json()["paths"]
    assert len(described) > 25
    with httpx.Client(base_url=cart.server.url) as stranger:
        for path, methods in described.items():
            filled = path.replace("{exam}", cart.state()["exam"]["exam"]).replace("{number}", "1")
            filled = filled.replace("{kind}", "image").replace("{language}", "es")
            for method in methods:
                answer = stranger.request(method.upper(), filled, json={} if method == "post" else None)
                expected = (200, 422) if path in OPEN else (401, 404, 422)
                assert answer.status_code in expected, (method, path, answer.status_code)
                assert "Rivera" not in answer.text
                assert "D-1001" not in answer.text


@pytest.mark.parametrize("token", ["", "x", None])
def test_a_change_without_the_token_changes_nothing(cart: Driver, token: str | None) -> None:
    before = cart.state()["exam"]
    headers = {} if token is None else {"X-CSRF-Token": token}
    for path, body in [("aim", {"eye": "OS", "view": "nasal"}), ("capture", {}), (f"exams/{before['exam']}/close", {})]:
        answer = cart.client.post(f"/api/1/{path}", json=body, headers=headers)
        assert answer.status_code == 401
    after = cart.state()["exam"]
    assert (after["aim"], len(after["captures"])) == (before["aim"], len(before["captures"]))


def test_a_picture_is_had_by_its_address_in_its_own_session_only(cart: Driver) -> None:
    exam = cart.state()["exam"]
    address = exam["captures"][-1]["addresses"]["image"]
    assert cart.client.get(address).headers["content-type"] == "image/jpeg"
    plain = address.partition("?")[0]
    assert cart.client.get(plain).status_code == 404
    assert cart.client.get(f"{plain}?key={'0' * 32}").status_code == 404
    with httpx.Client(base_url=cart.server.url) as other:
        assert other.get(address).status_code == 401
        other.post("/api/1/sign-in", json={"name": CLINICIAN, "pin": PIN})
        assert other.get(address).status_code == 404
        own = other.get(f"/api/1/exams/{exam['exam']}").json()["captures"][-1]["addresses"]["image"]
        assert other.get(own).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/pages/../cart.py",
        "/pages/%2e%2e/cart.py",
        "/pages/..%2f..%2fcart.py",
        "/pages//etc/passwd",
        "/api/1/exams/..%2f..%2fkey/captures/1/image?key=x",
        "/api/1/texts/..%2f..%2fusers",
        "/pages/\x00",
    ],
)
def test_no_path_leads_out_of_the_pages(cart: Driver, path: str) -> None:
    with httpx.Client(base_url=cart.server.url) as client:
        request = httpx.Request("GET", cart.server.url.rstrip("/") + path.replace("\x00", "%00"))
        answer = client.send(request)
    assert answer.status_code in (401, 404, 405, 200)
    assert "def " not in answer.text
    assert "root:" not in answer.text
    if answer.status_code == 200:
        assert answer.json()["language"] == "en"


def test_a_name_with_markup_is_text_everywhere(cart: Driver) -> None:
    with DrivenExam(cart, name='<img src=x onerror="alert(1)">^</script>') as exam:
        shown = cart.get(f"exams/{exam}").json()["infant"]["shown_name"]
        assert shown.startswith("<img")
        report = cart.client.get(f"/api/1/exams/{exam}/report.html")
        assert "<img src=x" not in report.text
        assert "script-src" not in report.headers["content-security-policy"]
        assert report.headers["content-security-policy"].startswith("default-src 'none'")


class DrivenExam:
    """An exam entered by hand, closed at the end."""

    def __init__(self, cart: Driver, name: str) -> None:
        self.cart, self.name = cart, name

    def __enter__(self) -> str:
        open_exam = self.cart.state()["exam"]
        if open_exam:
            self.cart.done(f"exams/{open_exam['exam']}/close")
        infant = {
            "infant_id": "X-1",
            "name": self.name,
            "born_at": "2026-10-18T00:00",
            "gestational_age": "27w3d",
            "birth_weight_g": 980,
            "sex": "",
        }
        self.exam = str(self.cart.done("exams", {"infant": infant, "wrist_band_checked": True})["exam"])
        return self.exam

    def __exit__(self, *error: object) -> None:
        self.cart.done(f"exams/{self.exam}/close")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"infant": {}, "wrist_band_checked": True},
        {"infant": {"infant_id": 7}, "wrist_band_checked": True},
        {"wrist_band_checked": False},
        {"infant": None},
        [],
        "text",
        {"key": "x" * 100_000},
        {"infant": {"name": "Secret^Name", "infant_id": "S-1"}, "wrist_band_checked": "true"},
    ],
)
def test_a_body_that_is_none_is_refused_without_repeating_what_it_held(cart: Driver, body: object) -> None:
    answer = cart.client.post("/api/1/exams", content=json.dumps(body), headers={"X-CSRF-Token": cart.token})
    assert answer.status_code in (403, 422)
    assert "Secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_the_log_and_the_support_archive_hold_no_name(cart: Driver) -> None:
    import io
    import zipfile

    packed = cart.client.get("/api/1/service/support.zip").content
    with zipfile.ZipFile(io.BytesIO(packed)) as file:
        held = b"".join(file.read(name) for name in file.namelist())
    for secret in (b"Rivera", b"D-1001", cart.token.encode(), cart.cookie().encode()):
        assert secret not in held
    assert "Rivera" not in cart.get("service").text
