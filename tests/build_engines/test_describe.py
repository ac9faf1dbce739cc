"""Cards say what a field says, and gaps are shown as gaps; the template, its validator and the Hugging Face header."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from build_engines.__main__ import main
from build_engines.card import ASKED, model_card
from build_engines.describe.command import questions
from build_engines.description import Description, gaps, load_description, says, template
from build_engines.errors import BuildError
from build_engines.huggingface import hugging_face_card
from build_engines.report.choose import agreement
from build_engines.report.schema import AdoptionLimits
from runtime.bundle import DEMONSTRATION
from runtime.manifest import FileEntry, Manifest, Metric, Stated
from tests.build_engines.report.figures import group
from tests.runtime.conftest import manifest_content

METRIC = Metric(
    task="classification",
    name="roc_auc",
    dataset="ours",
    device="all",
    precision="fp32",
    value=0.9,
    low=0.8,
    high=0.95,
    frames=40,
)
DATA = {"name": "ours", "frames": 3, "citation": "A. B., 2026", "licence": "MIT", "source": "https://a.example/b"}
NOTE = {"version": "3", "date": "2026-11-28", "changes": "Another threshold."}
NOBODY_SAID = ("held out", "bootstrap", "augmented", "resized", "Masks are drawn", "likeliest", "second observer")
"""What the card once said of anybody's model."""


def manifest(**changes: object) -> Manifest:
    return Manifest.model_validate(manifest_content({"segmentation.fp32.onnx": b"1", "x": b"2"}) | changes)


def filled() -> dict[str, object]:
    content: dict[str, object] = json.loads(template().replace("REPLACE", "stated"))
    return content


def test_a_card_says_nothing_that_nobody_stated() -> None:
    card = model_card(manifest(metrics=(METRIC.model_dump(),)))
    assert [words for words in NOBODY_SAID if words in card] == []
    assert card.count("not stated") >= len(ASKED) + 4
    for name in gaps(Stated()):
        assert ASKED.get(name, name.replace("_", " ").capitalize()) in card


@pytest.mark.parametrize("name", [name for name in Stated.model_fields if name != "version_history"])
def test_each_statement_is_on_the_card_once_and_its_gap_closed(name: str) -> None:
    card = model_card(manifest(stated={name: "Just | so, said here."}))
    assert card.count("Just \\| so, said here.") == 1
    gap = next(line for line in card.splitlines() if line.startswith("Not stated: "))
    assert ASKED.get(name, name.replace("_", " ").capitalize()) not in gap.removeprefix("Not stated: ").split(", ")


def test_a_manifest_of_blank_statements_shows_gaps_and_no_words_break_a_table() -> None:
    labels = [{"name": name, "meaning": "one | two\nthree", "refer": name == "a"} for name in ("a", "b")]
    card = model_card(manifest(stated={"graders": " ", "contact": "n/a"}, classes=labels))
    assert "| Graders | not stated |" in card
    assert "| Contact | not stated |" in card
    assert "| `a` | one \\| two three | yes |" in card


def test_versions_are_listed() -> None:
    note = {"version": "3", "date": "2026-11-28", "changes": "Another threshold."}
    assert "- 3, 2026-11-28: Another threshold." in model_card(manifest(stated={"version_history": [note]}))


def test_a_manifest_from_before_there_were_statements_is_read() -> None:
    assert manifest().stated == Stated()


def test_the_template_is_refused_until_it_is_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "d.json"
    assert main(["describe", "--classes", "3", "--out", str(path)]) == 0
    assert main(["describe", str(path)]) == 2
    assert "name still holds the template's REPLACE" in capsys.readouterr().err
    path.write_text(path.read_text().replace("REPLACE", "stated"))
    assert main(["describe", str(path)]) == 0
    said = capsys.readouterr().out
    assert f"0 of {len(Stated.model_fields)} stated" in said
    assert said.count("not stated: ") == len(Stated.model_fields)
    assert set(questions()) == set(Stated.model_fields), "each says what is asked"
    assert "not stated: graders: Who judged, how many" in said
    assert len(load_description(path).classes) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": [{"name": "a", "meaning": "b", "refer": True}] * 2}, "names must differ"),
        ({"stated": {"graders": ""}}, "graders"),
        ({"stated": {"mood": "good"}}, "mood"),
        ({"metrics": [METRIC.model_dump() | {"low": 0.92}]}, "outside of its interval"),
        ({"stated": {"graders": "REPLACE me"}}, "stated.graders still holds"),
        ({"stated": {"graders": "Two who REPLACE each other"}}, "stated.graders still holds"),
        ({"stated": {"graders": " \n"}}, "stated.graders: ' \\n' says nothing"),
        ({"stated": {"graders": "\u200b"}}, "stated.graders"),
        ({"stated": {"contact": "TBD."}}, "stated.contact: 'TBD.' says nothing"),
        ({"stated": {"contact": "n/a"}}, "stated.contact"),
        ({"stated": {"licence": "(to be determined)"}}, "stated.licence"),
        ({"stated": {"version_history": [{"version": "1", "date": "2026-13-01", "changes": "-"}]}}, "version_history"),
        ({"stated": {"version_history": [{"version": "1", "date": "2026-13-01", "changes": "A."}]}}, "month"),
        ({"intended_use": "..."}, "intended_use: '...' says nothing"),
        ({"name": " "}, "name: ' ' says nothing"),
        ({"name": "one\n# two"}, "expected one line of text"),
        ({"version": "1\x1b[31m"}, "expected one line of text"),
        ({"disease": "glaucoma"}, "disease: got 'glaucoma'"),
        ({"expires": "2020-01-01"}, "which is past"),
        ({"intended_use": None}, "intended_use"),
        ({"metrics": [METRIC.model_dump()] * 2}, "metrics: got classification roc_auc ours all fp32 in rows 0 and 1"),
        ({"training_data": [DATA, DATA]}, "training_data: got ours in rows 0 and 1, expected it once"),
        ({"stated": {"version_history": [NOTE, NOTE]}}, "version_history: got 3 in rows 0 and 1"),
        ({"training_data": [DATA | {"source": "javascript:alert(1)"}]}, "training_data.0.source: got 'javascript:"),
        ({"training_data": [DATA | {"source": "data:text/html,x"}]}, "training_data.0.source"),
        ({"training_data": [DATA | {"source": " JAVA\tSCRIPT:x"}]}, "training_data.0.source"),
        ({"training_data": [DATA | {"source": "\uff4aavascript\u200b:x"}]}, "training_data.0.source"),
        ({"stated": {"contact": "[us](javascript:alert(1))"}}, "stated.contact: got '[us](javascript"),
        ({"stated": {"contact": "[us]( <vbscript:x>)"}}, "stated.contact"),
        ({"stated": {"contact": "[us](&#106;avascript:x)"}}, "stated.contact"),
    ],
)
def test_a_wrong_description_is_one_line(
    tmp_path: Path, changes: dict[str, object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps(filled() | changes))
    assert main(["describe", str(path)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    with pytest.raises(BuildError):
        load_description(path)


FILLERS = (
    *(
        "\uff2e\uff0f\uff21",
        "\u3164",
        "\u115f\u1160",
        "\uffa0 \uffa0",
        "\u2800",
        "\u034f",
        "\ufe0f",
        "\U000e0041",
        "\u00ad",
    ),
    *(
        "T B D",
        "t.b.d.",
        "TB\u200bD",
        "\uff34\uff22\uff24",
        "unknown",
        "Un-known",
        "unknown unknown",
        "not sure",
        "We do not know.",
        "idk",
        "to follow",
        "No information available",
        "information not available",
        "not available at this time",
        "n/a - n/a",
        "Not applicable; n/a",
        "N / A (not applicable)",
        "Unbekannt",
        "k. A.",
        "Keine Angabe.",
        "non renseign\u00e9",
        "Non renseigne\u0301",
        "desconocido",
        "n. v. t.",
        "\u043d\u0435\u0442 \u0434\u0430\u043d\u043d\u044b\u0445",
        "\u041d\u0435\u0438\u0437\u0432\u0435\u0441\u0442\u043d\u043e",
        "\u672a\u77e5",
        "\u4e0d\u660e\u3002",
        "\u8a72\u5f53\u306a\u3057",
        "\uc54c \uc218 \uc5c6\uc74c",
        "\u063a\u064a\u0631 \u0645\u0639\u0631\u0648\u0641",
        "\u0905\u091c\u094d\u091e\u093e\u0924",
        "UNKNOWN.",
        "TODO",
        "todo: ask Anna",
        "to do",
        "FIXME",
    ),
    *("lorem", "Lorem ipsum dolor sit amet", "xxx", "x x x", "XXXX", "-", "--", "\u2014", "?", "\u2026", "see paper"),
    *(
        "See the paper.",
        "see our manuscript",
        "see README",
        "see above",
        "not stated",
        "not yet known",
        "not available",
    ),
    *(
        "unspecified",
        "not specified here",
        "none",
        "None given",
        "n.a.",
        "N / A",
        "null",
        "NaN",
        "nil",
        "pending",
        "placeholder",
    ),
    *(
        "to be determined later",
        "will be added",
        "to be filled in",
        "insert text here",
        "your text here",
        "coming soon",
    ),
)
SAID = (
    *(
        "None known; looked for in 400 frames.",
        "None known",
        "Unknown in 3 of 40 infants, else by two graders",
        "See paper: A. B., 2026",
    ),
    *(
        "Not above 32 weeks",
        "To be used by nurses",
        "Todorov scale",
        "No infants under 24 weeks",
        "xx chromosomes",
        "0",
        "Nanometre",
    ),
    *(
        "data: 300 frames",
        "[a](https://a.example)",
        "[a](mailto:a@b.example)",
        "[card](docs/card.md)",
        "0.8 [0.7, 0.9](n = 40)",
    ),
    *(
        "\u65e9\u7523\u5150",
        "\u043d\u0435\u0442 \u0434\u0435\u0442\u0435\u0439",
        "A\u0301. B.",
        "Keine unter 24 Wochen",
    ),
    *("Not known under 24 weeks; else two graders", "None; see MODEL.md", "follow-up at 36 weeks"),
)


@pytest.mark.parametrize("text", FILLERS)
def test_what_fills_a_gap_is_shown_as_a_gap(tmp_path: Path, text: str) -> None:
    assert not says(text)
    for field in ("graders", "preparation"):
        card = model_card(manifest(stated={field: text}))
        assert card == model_card(manifest(stated={})), "as if nothing were said"
    path = tmp_path / "d.json"
    path.write_text(json.dumps(filled() | {"stated": {"graders": text}}))
    with pytest.raises(BuildError, match=r"stated\.graders.* says nothing; say what is so, or null"):
        load_description(path)


@pytest.mark.parametrize("text", SAID)
def test_what_says_something_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps(filled() | {"stated": {"graders": text}}))
    assert gaps(load_description(path).stated) == gaps(Stated(graders="Two."))


def test_a_class_may_be_called_none_or_unknown(tmp_path: Path) -> None:
    labels = [{"name": name, "meaning": "Said.", "refer": name == "none"} for name in ("none", "unknown")]
    path = tmp_path / "d.json"
    path.write_text(json.dumps(filled() | {"classes": labels}))
    assert [label.name for label in load_description(path).classes] == ["none", "unknown"]


def test_a_card_of_any_manifest_links_to_pages_alone() -> None:
    """Also of one that was made before descriptions were checked for it."""
    data = [DATA | {"source": source} for source in ("javascript:alert(1)", "Kaggle: x", DATA["source"], "n/a")]
    card = model_card(manifest(training_data=data, stated={"contact": "[us](javascript:x), [you](https://a.example)"}))
    assert "<javascript" not in card
    assert "[us\\](javascript:x), [you](https://a.example)" in card
    assert "2026. Source: Kaggle: x." in card
    assert "2026. <https://a.example/b>" in card
    assert "2026. Source: not stated." in card


def test_every_place_that_is_still_to_be_filled_in_is_named_at_once(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(template(2).replace("REPLACE: of this one", "1.0"))
    with pytest.raises(BuildError) as error:
        load_description(path)
    places = "intended_use, classes.0.name, classes.0.meaning, classes.1.name, classes.1.meaning"
    assert f"name still holds the template's REPLACE; so do {places}; say" in str(error.value)


def test_what_a_maker_writes_is_no_markdown_nor_html_on_the_card() -> None:
    use = "# Approved\n\n| a | <script>x</script> ![](http://x/y.png) **cleared** [here](http://x)"
    card = model_card(manifest(intended_use=use, name="*x*", stated={"graders": "<b>Two</b>"}))
    (line,) = [line for line in card.splitlines() if "Approved" in line]
    assert line == (
        r"\# Approved \| a \| \<script\>x\</script\> \!\[\](http://x/y.png) \*\*cleared\*\* \[here\](http://x)"
    )
    assert r"Model card: \*x\*, version" in card
    assert r"| \<b>Two\</b> |" in card


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"a \<img src=x onerror=f()> b", "a &lt;img src=x onerror=f()&gt; b"),
        (r"a \\<b>c", "a \\&lt;b&gt;c"),
        ("a <b>c", "a &lt;b&gt;c"),
        (r"a \| b", "a | b"),
        (r"a \\| b", "a \\| b"),
        (r"[x\](data:y)", "[x](data:y)"),
        (r"[x\\](data:y)", r"[x\](data:y)"),
    ],
)
def test_backslashes_of_a_maker_let_nothing_act(text: str, shown: str) -> None:
    """Whoever escapes a sign has it escaped once: one more backslash would escape the first one instead."""
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark", {"html": True}).enable("table")
    markdown.validateLink = lambda url: True
    page = markdown.render(model_card(manifest(stated={"graders": text, "preparation": text})))
    assert f"<td>{shown}</td>" in page
    assert f"prepared: {shown}." in page


def test_statements_are_added_and_others_stay(tmp_path: Path) -> None:
    path, more = tmp_path / "d.json", tmp_path / "more.json"
    path.write_text(json.dumps(filled() | {"stated": {"graders": "Two.", "licence": "MIT"}}))
    more.write_text(json.dumps({"graders": "Three.", "contact": "a@b.example"}))
    assert main(["describe", str(path), "--add", str(more)]) == 0
    found = load_description(path).stated
    assert (found.graders, found.licence, found.contact) == ("Three.", "MIT", "a@b.example")


def test_what_the_demonstration_states_is_valid() -> None:
    path = Path(__file__).parents[2] / "build_engines" / "train" / "stated.json"
    assert Stated.model_validate_json(path.read_text(encoding="utf-8")).preparation
    assert Description.model_validate(filled()).stated == Stated()


@pytest.mark.parametrize(
    ("paths", "held"),
    [
        (("classifier.fp32.onnx", "MODEL_CARD.md"), ["onnx"]),
        (("a.onnx", "native/avx2/segmentation.xml"), ["onnx", "openvino"]),
        (("a.onnx", "plans/x/plan.json"), ["onnx", "tensorrt"]),
    ],
)
def test_a_card_is_tagged_with_what_the_bundle_holds(paths: tuple[str, ...], held: list[str]) -> None:
    yaml = pytest.importorskip("yaml")
    files = tuple(FileEntry(path=path, size=1, sha256="ab" * 32) for path in paths)
    made = manifest().model_copy(update={"files": files})
    header = yaml.safe_load(hugging_face_card(made).split("---\n", 2)[1])
    assert header["tags"] == ["medical", "ophthalmology", "retinopathy-of-prematurity", *held]


def test_the_hugging_face_header_is_yaml_with_every_figure() -> None:
    yaml = pytest.importorskip("yaml")
    text = hugging_face_card(manifest(metrics=(METRIC.model_dump(),), stated={"licence": "CC-BY-4.0"}))
    _, header, card = text.split("---\n", 2)
    found = yaml.safe_load(header)
    assert max(map(len, header.splitlines())) < 120, "a value a line"
    assert found["tags"][:2] == ["medical", "ophthalmology"]
    assert found["model-index"][0]["results"][0]["dataset"] == {"name": "ours", "type": "ours"}
    assert found["license"] == "cc-by-4.0"
    (result,) = found["model-index"][0]["results"]
    assert (result["metrics"][0]["type"], result["metrics"][0]["value"]) == ("roc_auc", 0.9)
    assert card.lstrip().startswith("# Model card: test")
    assert "license" not in hugging_face_card(manifest()).split("---\n", 2)[1]
    own = yaml.safe_load(hugging_face_card(manifest(stated={"licence": "Group's own, 2026"})).split("---\n", 2)[1])
    assert (own["license"], own["license_name"]) == ("other", "group-s-own-2026")


@pytest.mark.parametrize(
    ("frames", "share", "decides"), [(83, 82 / 83, False), (40, 1.0, False), (2000, 1.0, True), (2000, 0.95, True)]
)
def test_equal_outcomes_are_k_of_n_and_say_whether_n_decides(frames: int, share: float, decides: bool) -> None:
    of = group(same=share).model_copy(update={"frames": frames, "lost_refers": 1, "gained_refers": 0})
    words = agreement(of, AdoptionLimits())
    assert words.startswith(f"{round(frames * share)} of {frames} outcomes equal")
    assert "1 lost REFER, 0 gained" in words
    assert ("cannot decide on 99%" in words) is not decides


@pytest.mark.parametrize(
    "words", [["--out", "nowhere/a.json"], ["nowhere.json"], ["model.json", "--add", "nowhere.json"]]
)
def test_what_cannot_be_had_is_said_without_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["describe", "--out", "model.json"]) == 0
    (tmp_path / "model.json").write_text((tmp_path / "model.json").read_text().replace("REPLACE", "stated"))
    assert main(["describe", *words]) == 2
    told = capsys.readouterr().err
    assert "nowhere" in told
    assert "No such file or directory" in told
    assert "Errno" not in told
    assert ";" in told or "(" in told


def test_a_card_that_the_bundle_denies_is_not_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(DEMONSTRATION, tmp_path / "bundle")
    call = ["describe", str(tmp_path / "bundle"), "--hugging-face"]
    assert main(call) == 0
    assert "model-index" in capsys.readouterr().out
    path = tmp_path / "bundle" / "manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["metrics"][0]["value"] = content["metrics"][0]["high"]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert main([*call, "--out", str(tmp_path / "card.md")]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert "MODEL_CARD.md, line " in told.err
    assert "build the bundle again" in told.err
    assert not (tmp_path / "card.md").exists()


@pytest.mark.parametrize("clinical", [True, False])
def test_clinical_use_of_what_nobody_stated_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clinical: bool
) -> None:
    path = tmp_path / "d.json"
    assert main(["describe", "--out", str(path)]) == 0
    content = json.loads(path.read_text(encoding="utf-8").replace("REPLACE", "stated"))
    path.write_text(json.dumps(content | {"clinical_use": clinical}), encoding="utf-8")
    for words in ([], ["--json"]):
        capsys.readouterr()
        assert main(["describe", str(path), *words]) == 0
        assert ("clinical_use is true, and nothing is stated" in capsys.readouterr().out) is clinical
    content["stated"] = {"graders": "Two, independently."}
    path.write_text(json.dumps(content | {"clinical_use": clinical}), encoding="utf-8")
    assert main(["describe", str(path)]) == 0
    assert "warning" not in capsys.readouterr().out


def test_a_description_with_a_mark_of_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps(filled()), encoding="utf-8-sig")
    assert load_description(path).name == filled()["name"]
