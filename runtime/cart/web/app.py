"""`create_app`: the HTTP and WebSocket face of a `Cart`, under `/api/1`, and its pages."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from runtime.cart.cart import Cart
from runtime.cart.errors import SignInRefused
from runtime.cart.preview import PreviewPicture
from runtime.cart.rights import RIGHTS, Right, check_right, may
from runtime.cart.texts import Texts
from runtime.cart.users import SignIn
from runtime.cart.web import bodies
from runtime.cart.web.door import is_own
from runtime.cart.web.guard import App, RequestGuard
from runtime.cart.web.problems import HANDLERS, problem
from runtime.cart.web.sessions import COOKIE, CSRF_HEADER, Sessions, WebSession
from runtime.exam.icrop3 import PLUS, STAGES, ZONES, EyeFindings
from runtime.exam.infant import Infant
from runtime.explanation import WORDS
from runtime.views import Eye, View

PAGES = Path(__file__).parents[1] / "pages"
PREVIEW_WAIT_S = 1.0
ALIVE = '{"kind": "alive"}'
OF_NO_PATIENT = frozenset({"state", "health", "missed", "camera"})
"""Events that everybody who is signed in hears."""
T = TypeVar("T")


def create_app(cart: Cart, sign_in: SignIn, texts: Texts, *, hosts: tuple[str, ...], scheme: str, idle_s: float) -> App:
    """The application.

    hosts: own values of the Host header; scheme: `http` or `https`; idle_s: seconds until a session locks.
    """
    sessions = Sessions(idle_s, knows=sign_in.knows)
    cart.operator = sessions.current
    looked = _Turns()

    app = FastAPI(
        title="ROP screening cart",
        version="1",
        description="Screening aid; not a medical device. The pages use nothing else than this.",
        openapi_url="/api/1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.state.sessions = sessions
    app.include_router(_sessions_router(cart, sign_in, sessions, texts, secure=scheme == "https"))
    app.include_router(_exam_router(cart, sessions, looked))
    app.include_router(_pictures_router(cart, sessions, looked))
    _pages(app)
    _events(app, cart, sessions)
    return RequestGuard(app, hosts, scheme)


async def _done(future: Future[T]) -> T:
    return await asyncio.wrap_future(future)


class _Apart:
    """Threads for one kind of call that blocks: however many ask for it, calls of other kinds do not wait for them."""

    def __init__(self, name: str, threads: int = 1) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def __call__(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class _Turns:
    """What a user looks at is asked of the desk one after the other: however much one asks for, a picture that is taken
    and what others look at wait for one answer of theirs at most, and no queue is full of them."""

    def __init__(self) -> None:
        self._of: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, session: WebSession, ask: Callable[[], Future[T]]) -> T:
        turn = self._of.setdefault(session.user.name, asyncio.Lock())
        async with turn:
            return await _done(ask())


async def _live(cart: Cart, number: int) -> PreviewPicture | None:
    """The first live picture after that number, None when none came in time; no thread waits for it."""
    try:
        return await asyncio.wait_for(_done(cart.preview.after(number)), PREVIEW_WAIT_S)
    except asyncio.TimeoutError:
        return None


class _SignedIn:
    """The session of a request; with `changes` its token must come along, and with `right` the user must have it.

    Only a change is a person's doing: every page asks anew by itself, and none may so keep its user signed in.
    """

    def __init__(self, sessions: Sessions, *, changes: bool, right: Right | None = None) -> None:
        self._sessions, self._changes, self._right = sessions, changes, right

    async def __call__(self, request: Request) -> WebSession:
        """It waits for nothing; were it no coroutine, each request would be handed to a thread and back for it."""
        session = self._sessions.of(request.cookies.get(COOKIE), touch=self._changes)
        if session is None:
            raise SignInRefused("nobody is signed in; sign in")
        if self._changes and not hmac.compare_digest(
            request.headers.get(CSRF_HEADER, "").encode("utf-8", "replace"), session.csrf.encode()
        ):
            raise SignInRefused("the request does not come from the cart's own page; sign in anew")
        if self._right is not None:
            check_right(session.user, self._right)
        return session


def _sessions_router(cart: Cart, sign_in: SignIn, sessions: Sessions, texts: Texts, *, secure: bool) -> APIRouter:
    router = APIRouter(prefix="/api/1")
    reads = Depends(_SignedIn(sessions, changes=False))
    stays = Depends(_SignedIn(sessions, changes=True))
    looks = Depends(_SignedIn(sessions, changes=False, right=Right.LOOK))
    checking = _Apart("sign-in", threads=2)

    @router.post("/sign-in")
    async def begin(request: Request, body: bodies.SignInBody) -> Response:
        """Sign in; the cookie is the session, `csrf` goes back in the header `X-CSRF-Token` with every change."""
        try:
            user = await checking(partial(sign_in.check, body.name, body.pin, elsewhere=_elsewhere(request)))
        except SignInRefused as error:
            # Of unknown names a PIN may stand in the wrong field; who has to wait cannot fill the journal.
            if not error.wait_s and any(known.name == body.name for known in sign_in.users):
                cart.signed_in(body.name, refused=True)
            raise
        cart.signed_in(user.name)
        session = sessions.begin(user)
        facts = {"user": user.name, "shown": user.shown, "role": user.role, "rights": _rights(session)}
        response = JSONResponse({**facts, "csrf": session.csrf})
        response.set_cookie(COOKIE, session.token, httponly=True, samesite="strict", secure=secure, path="/")
        return response

    @router.post("/sign-out")
    async def end(request: Request) -> Response:
        """Sign out; an open exam stays open."""
        sessions.end(request.cookies.get(COOKIE))
        response = JSONResponse({})
        response.delete_cookie(COOKIE, path="/")
        return response

    @router.post("/pin")
    async def change_pin(request: Request, body: bodies.PinBody, session: WebSession = stays) -> dict[str, Any]:
        """Another PIN for whoever is signed in, who says the one of now. Every session of theirs ends: sign in anew."""
        name, elsewhere = session.user.name, _elsewhere(request)
        try:
            await checking(partial(sign_in.change_pin, name, body.pin, body.new_pin, elsewhere=elsewhere))
        except SignInRefused as error:
            if not error.wait_s:
                cart.signed_in(name, refused=True)
            raise
        cart.pin_changed(name)
        return {}

    @router.post("/here")
    async def here(_: WebSession = stays) -> dict[str, Any]:
        """A person is at the screen, if only to look: that keeps the session. Nothing that is only asked does."""
        return {}

    @router.get("/welcome")
    async def welcome() -> dict[str, Any]:
        """What the sign-in screen shows: users, health, notices; nothing of a patient."""
        sign_in.refresh()
        users = [{"name": user.name, "shown": user.shown} for user in sign_in.users]
        return {"users": users, "languages": texts.languages, **cart.welcome()}

    @router.get("/texts/{language}")
    async def catalogue(language: str) -> dict[str, Any]:
        """The page's texts in a language; English where there is no such one."""
        return texts.catalogue(language)

    @router.get("/state")
    async def state(session: WebSession = reads) -> dict[str, Any]:
        """Everything that the screens show, as it stands. `exam` is empty where none is open, and null while the cart
        starts and does not know yet; `health` says then what it waits for."""
        user: dict[str, Any] = {"name": session.user.name, "shown": session.user.shown, "role": session.user.role}
        user["rights"] = _rights(session)
        shown = cart.state()
        if not may(session.user, Right.LOOK):
            shown |= {"exam": {}, "last_exam": None}
        return _with_keys({"user": user, "csrf": session.csrf, **shown}, session)

    @router.get("/words")
    async def words(_: WebSession = looks) -> dict[str, list[str]]:
        """What a clinician may choose from."""
        return {"zones": list(ZONES), "stages": list(STAGES), "plus": list(PLUS)}

    return router


def _elsewhere(request: Request) -> bool:
    client, (here, _) = request.client, request.scope["server"]
    return client is None or not is_own(client.host, here)


def _exam_router(cart: Cart, sessions: Sessions, looked: _Turns) -> APIRouter:
    router = APIRouter(prefix="/api/1")
    reads = Depends(_SignedIn(sessions, changes=False, right=Right.LOOK))
    writes = Depends(_SignedIn(sessions, changes=True, right=Right.SCREEN))
    documents = Depends(_SignedIn(sessions, changes=True, right=Right.DOCUMENT))
    asking = _Apart("worklist")

    def who(session: WebSession) -> str:
        return session.user.name

    @router.get("/worklist")
    async def worklist(_: WebSession = reads) -> dict[str, Any]:
        """The last answer of the worklist, and how old it is."""
        return cart.worklist()

    @router.post("/worklist/refresh")
    async def refresh(_: WebSession = writes) -> dict[str, Any]:
        """Ask the worklist now."""
        return await asking(cart.refresh_worklist)

    @router.post("/exams", status_code=201)
    async def open_exam(body: bodies.OpenBody, session: WebSession = writes) -> dict[str, Any]:
        """Open an exam for an infant, of the worklist or by hand."""
        infant = Infant.from_dict(body.infant.model_dump())
        return await _done(cart.open_exam(infant, key=body.key, operator=who(session)))

    @router.post("/exams/look")
    async def look(body: bodies.LookBody, _: WebSession = writes) -> dict[str, Any]:
        """What to show before an exam of this infant is opened, as its `warnings` will say it; opens nothing."""
        return {"warnings": await _done(cart.look_before(Infant.from_dict(body.infant.model_dump())))}

    @router.post("/aim")
    async def aim(body: bodies.AimBody, session: WebSession = writes) -> dict[str, Any]:
        """Set eye and view of the pictures that follow, in the exam that your screen shows: where another one is open
        by now, nothing is set."""
        return await _done(cart.aim(Eye(body.eye), View(body.view), exam=body.exam))

    @router.post("/light")
    async def light(body: bodies.LightBody, _: WebSession = writes) -> dict[str, Any]:
        """Switch the continuous light, or make it brighter or darker, in the exam and for the eye that your screen
        shows: where another is open, or set, by now no light is given. It is put out in any case."""
        eye = None if body.eye is None else Eye(body.eye)
        return await _done(cart.light(body.on, body.level, exam=body.exam, eye=eye))

    @router.post("/capture")
    async def capture(body: bodies.AimBody, session: WebSession = writes) -> dict[str, Any]:
        """Take one picture of what is aimed at, and read it. Send what your screen shows to whoever presses (exam, eye
        and view): where it is not so any more, nothing is taken."""
        aim = (Eye(body.eye), View(body.view))
        taken = cart.capture(operator=who(session), exam=body.exam, aim=aim)
        return _with_keys(await _done(taken), session)

    @router.post("/exams/{exam}/captures/{number}/exclude")
    async def exclude(exam: str, number: int, body: bodies.ReasonBody, session: WebSession = writes) -> dict[str, Any]:
        """A picture does not count, and why."""
        return await _done(cart.exclude(exam, number, reason=body.reason, operator=who(session)))

    @router.post("/exams/{exam}/captures/{number}/include")
    async def include(exam: str, number: int, body: bodies.ReasonBody, session: WebSession = writes) -> dict[str, Any]:
        """A picture counts again, and why."""
        return await _done(cart.include(exam, number, reason=body.reason, operator=who(session)))

    @router.post("/exams/{exam}/captures/{number}/confirm")
    async def confirm(exam: str, number: int, body: bodies.ReasonBody, session: WebSession = writes) -> dict[str, Any]:
        """A picture that looks like another view counts all the same, and why."""
        return await _done(cart.confirm_view(exam, number, reason=body.reason, operator=who(session)))

    @router.post("/exams/{exam}/captures/{number}/relabel")
    async def relabel(exam: str, number: int, body: bodies.RelabelBody, session: WebSession = writes) -> dict[str, Any]:
        """A picture shows another eye or view than was set, and why."""
        return await _done(
            cart.relabel(exam, number, Eye(body.eye), View(body.view), reason=body.reason, operator=who(session))
        )

    @router.post("/exams/{exam}/close")
    async def close(exam: str, session: WebSession = writes) -> dict[str, Any]:
        """Take no more pictures."""
        return await _done(cart.close_exam(exam, operator=who(session)))

    @router.post("/exams/{exam}/stop")
    async def stop(exam: str, body: bodies.StopBody, session: WebSession = writes) -> dict[str, Any]:
        """End the exam before its time, and why."""
        return await _done(cart.stop_exam(exam, cause=body.cause, note=body.note, operator=who(session)))

    @router.post("/exams/{exam}/void")
    async def void(exam: str, body: bodies.ReasonBody, session: WebSession = writes) -> dict[str, Any]:
        """The exam is not to be used, and why."""
        return await _done(cart.void_exam(exam, reason=body.reason, operator=who(session)))

    @router.post("/exams/{exam}/correct")
    async def correct(exam: str, body: bodies.CorrectBody, session: WebSession = writes) -> dict[str, Any]:
        """Another infant was examined than was said, and why; the order is corrected with it."""
        infant = Infant.from_dict(body.infant.model_dump())
        return await _done(cart.correct(exam, infant, key=body.key, reason=body.reason, operator=who(session)))

    @router.post("/exams/{exam}/document")
    async def document(exam: str, body: bodies.DocumentBody, session: WebSession = documents) -> dict[str, Any]:
        """What a clinician found in an eye."""
        content = body.model_dump()
        findings = EyeFindings(**{**content, "eye": Eye(content["eye"])})
        return await _done(cart.document(exam, findings, clinician=who(session)))

    @router.get("/exams")
    async def exams(session: WebSession = reads, day: str = "") -> dict[str, Any]:
        """The exams of a day (`2026-11-28`, the cart's own zone), or of today."""
        try:
            of = date.fromisoformat(day) if day else datetime.now().astimezone().date()
        except ValueError:
            return problem(422, "not taken", "day: expected a date as in 2026-11-28")  # type: ignore[return-value]
        found = await looked(session, lambda: cart.day(of))
        return {"day": of.isoformat(), **found}

    @router.get("/exams/{exam}")
    async def one(exam: str, session: WebSession = reads) -> dict[str, Any]:
        """One exam, whole."""
        return _with_keys(await looked(session, lambda: cart.exam(exam)), session)

    return router


def _pictures_router(cart: Cart, sessions: Sessions, looked: _Turns) -> APIRouter:
    router = APIRouter(prefix="/api/1")
    looks = Depends(_SignedIn(sessions, changes=False, right=Right.LOOK))
    serves = Depends(_SignedIn(sessions, changes=False, right=Right.SERVICE))
    tests = Depends(_SignedIn(sessions, changes=True, right=Right.SERVICE))
    shelves = Depends(_SignedIn(sessions, changes=False, right=Right.BUNDLES))
    stocks = Depends(_SignedIn(sessions, changes=True, right=Right.BUNDLES))
    looking = _Apart("bundles")

    @router.get("/preview")
    async def preview(_: WebSession = serves, after: int = 0) -> Response:
        """The first live picture after that number: a JPEG, its facts in headers; 204 when none came in time."""
        picture = await _live(cart, after)
        if picture is None:
            return Response(status_code=204)
        headers = {
            "x-number": str(picture.number),
            "x-age-ms": f"{picture.age_ms:.0f}",
            "x-framing": json.dumps(_framing(picture.framing)),
        }
        return Response(picture.jpeg, media_type="image/jpeg", headers=headers)

    @router.get("/preview.mjpg")
    async def stream(_: WebSession = serves) -> Response:
        """Live pictures as multipart MJPEG, for a maker's own viewer: each is sent when the last one is gone."""

        async def parts() -> AsyncIterator[bytes]:
            number = 0
            while True:
                picture = await _live(cart, number)
                if picture is not None:
                    number = picture.number
                    yield (
                        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: "
                        + str(len(picture.jpeg)).encode()
                        + b"\r\n\r\n"
                        + picture.jpeg
                        + b"\r\n"
                    )

        return StreamingResponse(parts(), media_type="multipart/x-mixed-replace; boundary=frame")

    @router.get("/exams/{exam}/captures/{number}/{kind}")
    async def picture(request: Request, exam: str, number: int, kind: str, key: str = "") -> Response:
        """A stored picture: small (`thumbnail`), whole (`image`), with its vessels (`overlay`), or under the
        classifier's gates (`gates`), whose header `x-explanation` tells what the branches add to the answer, as JSON;
        show the text `words` of it beside the picture."""
        session = await _SignedIn(sessions, changes=False, right=Right.LOOK)(request)
        path = f"/api/1/exams/{exam}/captures/{number}/{kind}"
        if kind not in ("image", "overlay", "thumbnail", "gates") or not hmac.compare_digest(
            key.encode("utf-8", "replace"), session.address_key(path).encode()
        ):
            return problem(404, "not here", "there is no such picture in this session")
        headers = {"cache-control": "private, max-age=600"}
        if kind == "gates":
            data, told = await looked(session, lambda: cart.gates(exam, number))
            headers["x-explanation"] = json.dumps({**told.to_dict(), "words": WORDS})
            return Response(data, media_type="image/jpeg", headers=headers)
        data, media_type = await looked(session, lambda: cart.picture(exam, number, kind))
        return Response(data, media_type=media_type, headers=headers)

    @router.get("/exams/{exam}/report.{kind}")
    async def report(exam: str, kind: str, session: WebSession = looks) -> Response:
        """The exam's report as a page or a PDF."""
        if kind not in ("html", "pdf"):
            return problem(404, "not here", "reports are html or pdf")
        data, media_type = await looked(session, lambda: cart.report(exam, kind))
        headers = {"content-security-policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'"}
        return Response(data, media_type=media_type, headers=headers)

    @router.get("/camera")
    async def camera(_: WebSession = serves) -> dict[str, Any]:
        """What can be turned on the camera while it runs: range, step and value, whether it is automatic (null: never),
        and in `fixed` why it cannot be turned here."""
        return {"controls": await _done(cart.camera_controls())}

    @router.post("/camera")
    async def set_camera(body: bodies.CameraBody, session: WebSession = tests) -> dict[str, Any]:
        """Set exposure (ms), focus or gain in the camera's own numbers, or by itself; between pictures."""
        return {"controls": await _done(cart.set_camera(body.control, body.value, operator=session.user.name))}

    @router.get("/service")
    async def service(_: WebSession = serves) -> dict[str, Any]:
        """How the cart stands: parts, latency of the last hour, drift, outbox, log lines without names."""
        return await _done(cart.service())

    @router.post("/service/light-test")
    async def light_test(_: WebSession = tests) -> dict[str, str]:
        """Ask the light board how it is; gives no light."""
        return {"said": await _done(cart.test_light())}

    @router.get("/service/bundles")
    async def bundles(_: WebSession = shelves) -> dict[str, Any]:
        """Installed bundles, how each did when it was tried here, packages found, and the change that goes on."""
        return await looking(cart.bundles)

    @router.post("/service/bundles/install", status_code=202)
    async def install_bundle(body: bodies.InstallBody, _: WebSession = stocks) -> dict[str, Any]:
        """Install what lies at a path of this machine and try it; it is not active then."""
        cart.install_bundle(body.path)
        return {"begun": True}

    @router.post("/service/bundles/activate", status_code=202)
    async def activate_bundle(body: bodies.ActivateBody, session: WebSession = stocks) -> dict[str, Any]:
        """Read with an installed bundle from the next exam on."""
        cart.activate_bundle(body.sha256, despite=body.despite, operator=session.user.name)
        return {"begun": True}

    @router.post("/service/bundles/rollback", status_code=202)
    async def roll_back(body: bodies.ReasonBody, session: WebSession = stocks) -> dict[str, Any]:
        """Read with the bundle before the active one again, and why."""
        cart.go_back(reason=body.reason, operator=session.user.name)
        return {"begun": True}

    @router.get("/service/support.zip")
    async def support(_: WebSession = serves) -> Response:
        """What a technician sends to the maker; nothing of a patient."""
        data = await _done(cart.support_archive())
        headers = {"content-disposition": 'attachment; filename="cart-support.zip"'}
        return Response(data, media_type="application/zip", headers=headers)

    return router


def _rights(session: WebSession) -> list[str]:
    return sorted(right.value for right in RIGHTS[session.user.role])


def _with_keys(content: dict[str, Any], session: WebSession) -> dict[str, Any]:
    """Addresses of pictures as they hold in this session; `pictures` of each capture names their kinds."""
    exam = content["exam"] if isinstance(content.get("exam"), dict) else content
    for capture in exam.get("captures", ()):
        base = f"/api/1/exams/{exam['exam']}/captures/{capture['number']}"
        capture["addresses"] = {
            kind: f"{base}/{kind}?key={session.address_key(f'{base}/{kind}')}" for kind in capture.get("pictures", ())
        }
    return content


def _framing(found: Any) -> dict[str, Any]:
    return {
        "hint": found.hint.value,
        "focus": round(found.focus, 3),
        "field": [round(value, 4) for value in found.field],
        "exposure": round(found.exposure, 3),
    }


def _events(app: FastAPI, cart: Cart, sessions: Sessions) -> None:
    @app.websocket("/api/1/events")
    async def events(socket: WebSocket) -> None:
        """What happens, one JSON object a message; nothing is taken from the page."""
        token = socket.cookies.get(COOKIE)
        session = sessions.of(token, touch=False)
        if session is None:
            await socket.close(4401)
            return
        await socket.accept()
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        with sessions.listening(session), cart.events.listen(partial(_wake, loop, ready)) as listener:
            gone = asyncio.ensure_future(_until_gone(socket))
            try:
                await socket.send_text(ALIVE)  # from here on nothing is missed: who hears this asks for the state anew
                while not gone.done():
                    waiting = asyncio.ensure_future(ready.wait())
                    await asyncio.wait({waiting, gone}, timeout=5, return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    ready.clear()
                    session = sessions.of(token, touch=False)
                    if session is None:
                        await socket.close(4401)
                        return
                    looks = may(session.user, Right.LOOK)
                    for event in listener.take():
                        if not looks and event.kind not in OF_NO_PATIENT:
                            continue
                        content = _with_keys(dict(event.content), session)
                        await socket.send_text(json.dumps({"kind": event.kind, **content}))
                    await socket.send_text(ALIVE)
            except (WebSocketDisconnect, RuntimeError):
                pass
            finally:
                gone.cancel()


def _wake(loop: asyncio.AbstractEventLoop, ready: asyncio.Event) -> None:
    """From another thread; a loop that has ended needs no waking."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(ready.set)


async def _until_gone(socket: WebSocket) -> None:
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError):
        return


def _pages(app: FastAPI) -> None:
    page = (PAGES / "index.html").read_text(encoding="utf-8")

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        return HTMLResponse(page)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return RedirectResponse("/pages/icon.svg")

    app.mount("/pages", StaticFiles(directory=PAGES), name="pages")
