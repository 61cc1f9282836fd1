"""Reports of runs whose numbers are chosen, so that every mean is known by hand; the page is parsed."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from tests.support.bench_runs import Numbers, spec, write_run
from undrift.bench.metrics.registry import all_metrics
from undrift.bench.report import paper, tables
from undrift.bench.report.choice import reference_of
from undrift.bench.report.figures import running_means, turn_means
from undrift.bench.report.results import info_of, read_results
from undrift.bench.report.sheets import GAP, HEAD, SIDE, chosen_cases, shown_turns
from undrift.bench.report.write import Written, write_report
from undrift.bench.suites.base import SuiteSpec
from undrift.errors import InputError, SessionError

Rows = dict[str, list[list[float | None]]]
FREEZE: Rows = {
    "multi_turn": [[0.0, 100.0], [0.0, 0.0], [100.0, None]],
    "no_edit": [[100.0, 100.0], [100.0, 100.0], [100.0, 100.0]],
}
DRIFT: Rows = {
    "multi_turn": [[100.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    "no_edit": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
}
SCORE: Rows = {"multi_turn": [[0.5, 0.7], [0.1, 0.1], [0.9, 0.9]], "no_edit": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]}


def small_run(path: Path, **options: Any) -> Path:
    numbers: Numbers = {
        label: {
            "freeze-rate": FREEZE[label],
            "drift-rate": DRIFT[label],
            "edit-score": SCORE[label],
            "nfe": [[32.0, 32.0]] * 3,
        }
        for label in FREEZE
    }
    return write_run(path, numbers, **options).path


class Page(HTMLParser):
    """What a browser would find."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.open = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.open = True

    def handle_endtag(self, tag: str) -> None:
        self.open = self.open and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.open:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("report")
    return write_report([small_run(folder / "run")], folder / "out")


@pytest.fixture(scope="module")
def page(written: Written) -> Page:
    return Page(written.html.read_text())


def test_means_are_those_done_by_hand(page: Page) -> None:
    """multi_turn: freeze 200 / 5 turns (one is unscored), drift 100 / 6, edit score 3.2 / 6."""
    row = next(row for row in page.rows if row[0] == "multi_turn" and "40.0 (n=5)" in row)
    assert row[1:] == ["40.0 (n=5)", "16.7 (n=6)", "0.533 (n=6)"]


def test_per_turn_leaves_out_what_is_unscored(page: Page) -> None:
    assert ["multi_turn", "33.3 (n=3)", "50.0 (n=2)"] in page.rows


def test_means_by_type_and_by_what_the_words_change(tmp_path: Path) -> None:
    """Drawn turns of one type change one thing: the words of an addition add, those of another place are global."""
    scopes = {"add": "addition", "delete": "deletion", "background": "global", "object": "local", "colour": "local"}
    results = read_results([small_run(tmp_path / "run")])
    assert [[scopes[name] for name in row] for row in results.types] == results.scopes
    info, (arm, _) = info_of("edit-score"), results.arms
    table = tables.per_kind(results, info, results.scopes, "what the words change")
    assert "by what the words change" in table.caption
    for name, cell in zip(table.header[1:], table.rows[0][1:], strict=True):
        turns = [
            SCORE[arm.label][row][turn] or 0.0
            for row, kinds in enumerate(results.scopes)
            for turn, kind in enumerate(kinds)
            if kind == name
        ]
        assert (cell.text, cell.note) == (f"{sum(turns) / len(turns):.3f}", f"n={len(turns)}")


def test_differences_are_paired(page: Page) -> None:
    """no_edit - multi_turn over the five common turns: (100 + 0 + 100 + 100 + 0) / 5; three cases tell nothing."""
    assert any(row[:2] == ["no_edit", "+60.0 (n=5)"] for row in page.rows)


def test_the_papers_numbers_stand_beside_ours_and_are_marked(page: Page) -> None:
    headers = [row for row in page.rows if "paper: FID" in row]
    assert headers
    assert ["MasaCtrl: paper only", "–", "10.811", "23.797", "0.886", "50", *["–"] * 3] in page.rows  # noqa: RUF001
    assert "other data, not comparable" in paper.NOTE


def test_the_page_needs_nothing_from_elsewhere(written: Written, page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "embed")
        for name in ("src", "href", "xlink:href", "data", "srcset"):
            assert str(attributes.get(name) or "#").startswith(("#", "data:"))
    text = written.html.read_text()
    assert not re.search(r"url\(|@import", text)
    assert set(re.findall(r"https?://[^\"'\s<]+", text)) <= {"http://www.w3.org/2000/svg"}


def test_the_page_can_be_read_aloud(page: Page) -> None:
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert images
    assert all(len(str(attributes["alt"])) > 20 for attributes in images)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    count = {name: sum(tag == name for tag, _ in page.tags) for name in ("table", "caption", "svg", "title")}
    assert count["table"] == count["caption"]
    assert count["title"] > count["svg"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_markdown_says_the_same_numbers(written: Written, page: Page) -> None:
    lines = [line for line in written.markdown.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    in_markdown = [row for row in cells if not row[0].startswith(":--")]
    assert in_markdown == [[cell.strip(" `") for cell in row] for row in page.rows]


def test_markdown_links_to_files_that_are_there(written: Written) -> None:
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", written.markdown.read_text())
    assert len(links) > 5
    for link in links:
        assert (written.markdown.parent / link).stat().st_size > 500


def test_sheets_show_the_truth_first_and_every_method(written: Written) -> None:
    with Image.open(written.markdown.parent / "figures" / "sheet-lw-000.webp") as sheet:
        # head, ground truth, two methods; original and two turns
        assert sheet.size[1] == HEAD + 3 * (SIDE + GAP)
        picture = sheet.convert("RGB")
    left, right, pitch = picture.width - 3 * (SIDE + GAP), picture.width - GAP, SIDE + GAP
    tops = (HEAD, HEAD + pitch)
    truth, made = (picture.crop((left, top, right, top + SIDE)) for top in tops)
    lost_by_webp = ImageStat.Stat(ImageChops.difference(truth, made)).mean
    # Levels of 255, by eye invisible; another picture is ten times as far.
    assert lost_by_webp == pytest.approx([0, 0, 0], abs=6)


def test_cases_on_sheets_follow_the_rule(tmp_path: Path) -> None:
    results = read_results([small_run(tmp_path / "run")])
    chosen = chosen_cases(results, reference_of(results, None))
    assert list(chosen) == ["lw-000", "lw-001", "lw-002"]
    assert "median" in chosen["lw-000"]
    assert "worst" in chosen["lw-001"]
    assert "best" in chosen["lw-002"]


def test_long_sequences_show_few_turns() -> None:
    assert shown_turns(4) == [0, 1, 2, 3, 4]
    assert shown_turns(20) == [0, 1, 4, 7, 10, 14, 17, 20]


def test_failures_are_listed_and_not_counted(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", failed={("no_edit", "lw-001", 2): "the | disk is full"})
    written = write_report([run])
    page = Page(written.html.read_text())
    assert ["no_edit", "lw-001", "2", "editing", "the | disk is full"] in page.rows
    assert "no_edit: 5 of 6 turns are made." in written.html.read_text()
    assert any(row[0] == "no_edit" and row[1] == "100.0 (n=5)" for row in page.rows)


def test_numbers_of_sets_appear_at_their_round(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", sets={"multi_turn": {2: {"fid-x": 12.3456}}})
    results = read_results([run])
    assert "fid-x" in results.infos
    assert results.arms[0].sets[2] == {"fid-x": 12.3456}
    assert read_results([run], limit=2).arms[0].sets == {}  # of fewer cases it is another number


def test_scores_of_another_picture_are_not_shown(tmp_path: Path) -> None:
    from undrift.bench.records import RunFolder

    run = RunFolder(small_run(tmp_path / "run"))
    records = run.records("no_edit", "lw-000")
    run.write_records("no_edit", "lw-000", [records[0].model_copy(update={"image_hash": "new"}), records[1]])
    results = read_results([run.path])
    assert tables.mean_cell(info_of("nfe"), results.arm("no_edit").values["nfe"]).note == "n=5"


def test_runs_are_merged_and_equal_labels_told_apart(tmp_path: Path) -> None:
    results = read_results([small_run(tmp_path / "before"), small_run(tmp_path / "after")])
    labels = [arm.label for arm in results.arms]
    assert labels == ["multi_turn (before)", "no_edit (before)", "multi_turn (after)", "no_edit (after)"]


def test_a_line_of_another_model_says_which(tmp_path: Path) -> None:
    numbers = {"edit": {"freeze-rate": [[0.0, 0.0]]}}
    one = write_run(tmp_path / "one", numbers).path
    other = write_run(tmp_path / "other", {"p2p": numbers["edit"]}, model="somewhere/littleworld-sd").path
    results = read_results([one, other])
    assert [arm.label for arm in results.arms] == ["edit", "p2p on littleworld-sd"]
    assert [arm.made for arm in results.arms] == [2, 2]


def test_runs_of_different_suites_are_refused(tmp_path: Path) -> None:
    one = small_run(tmp_path / "one")
    other = small_run(tmp_path / "other", suite=SuiteSpec(name="littleworld", variant="standard", limit=3, turns=2))
    with pytest.raises(
        InputError, match=r"different suites .*one' is littleworld:quick.*other' is littleworld:standard"
    ):
        read_results([one, other])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no run folder"):
        write_report([tmp_path])
    run = small_run(tmp_path / "run")
    with pytest.raises(InputError, match="no method 'x' in the runs: there are multi_turn, no_edit"):
        write_report([run], reference="x")
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match="cannot make the folder"):
        write_report([run], tmp_path / "file")


def test_a_run_without_a_turn_is_refused(tmp_path: Path) -> None:
    from undrift.bench.records import RunFolder

    run = RunFolder(tmp_path / "new")
    run.start(RunFolder(small_run(tmp_path / "run")).manifest())
    with pytest.raises(InputError, match="nothing is made yet"):
        read_results([run.path])


FULL: dict[str, Any] = {"steps": 15, "previous_weight": 0.7, "highlight": True, "ranks": [10, 15]}


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"previous_weight": 1.0}, paper.SINGLE),
        ({"ranks": [0, 5]}, paper.HIGH),
        ({"highlight": False}, paper.NONE),
        ({"highlight": False, "ranks": [0, 5]}, None),
        ({"steps": 8}, None),
        ({}, None),
    ],
)
def test_rows_of_table_2_are_told_by_what_was_changed(change: dict[str, Any], row: str | None) -> None:
    assert paper.changed(spec("b", **{**FULL, **change}), spec("a", **FULL)) == row


def test_table_2_compares_with_the_full_method(tmp_path: Path) -> None:
    cases = 8
    score = {"full": [[0.5]] * cases, "single": [[0.4]] * cases, "blind": [[0.6]] * cases}
    methods = [
        spec("full", **FULL),
        spec("single", **{**FULL, "previous_weight": 1.0}),
        spec("blind", **{**FULL, "highlight": False}),
    ]
    numbers = {label: {"edit-score": values} for label, values in score.items()}
    results = read_results([write_run(tmp_path / "run", numbers, methods=methods).path])
    (table,) = tables.table_2(results)
    assert [[cell.words for cell in row] for row in table.rows] == [
        ["single objective: single", "9.886", "26.484", "0.892", "▼ 0.400 (n=8)"],
        ["no attention: blind", "6.678", "26.760", "0.889", "▲ 0.600 (n=8)"],
        ["full: full", "5.553", "26.831", "0.894", "0.500 (n=8)"],
    ]


def test_only_presets_after_the_paper_have_a_row_in_its_table() -> None:
    assert paper.published(spec("a", preset="default", steps=15)) is None
    for steps, fid in ((15, 5.553), (8, 5.396)):
        row = paper.published(spec("a", preset="paper", steps=steps))
        assert row is not None
        assert row.fid == fid
    row = paper.published(spec("a", method="fireflow", steps=99))
    assert row is not None
    assert row.title == "FireFlow"
    row = paper.published(spec("a", method="pnp_inversion", steps=50, editor="p2p"))
    assert row is not None
    assert row.title == "PnPInversion"
    assert paper.published(spec("a", method="pnp_inversion", steps=50, editor="masactrl")) is None


def test_paths_end_at_the_mean_of_all_turns(tmp_path: Path) -> None:
    values = read_results([small_run(tmp_path / "run")]).arms[0].values["freeze-rate"]
    assert running_means(values) == pytest.approx([100 / 3, 40.0])
    assert turn_means(values) == pytest.approx([100 / 3, 50.0])
    assert turn_means(values, reach=1) == pytest.approx([40.0, 40.0])


def test_many_turns_are_shown_in_groups() -> None:
    names = [name for name, _ in tables.turn_groups(12)]
    assert names == ["turns 1 to 5", "turns 6 to 10", "turns 11 to 12"]
    assert [turn for _, group in tables.turn_groups(12) for turn in group] == list(range(12))


def test_reconstruction_is_shown_by_rounds(tmp_path: Path) -> None:
    suite = SuiteSpec(name="littleworld", variant="reconstruct", limit=2, turns=4)
    psnr = [[30.0, 28.0, 26.0, 24.0], [20.0, 18.0, 16.0, 14.0]]
    run = write_run(tmp_path / "run", {"multi_turn": {"original-psnr-whole": psnr}}, suite=suite).path
    page = Page(write_report([run]).html.read_text())
    assert ["method", "round 1", "round 2", "round 4"] in page.rows
    assert ["multi_turn", "25.00 (n=2)", "23.00 (n=2)", "19.00 (n=2)"] in page.rows


def test_a_last_group_of_one_turn_is_a_turn() -> None:
    assert [name for name, _ in tables.turn_groups(11)][-1] == "turn 11"


def test_every_metric_can_be_a_column() -> None:
    for name in all_metrics():
        info = info_of(name)
        assert isinstance(info.title, str)
        assert isinstance(info.unit, str)
        assert info.higher_is_better in (True, False, None)
        assert info.group in ("ground truth", "paper", "pie-bench", "drift", "cost")
        assert info.title in tables.title_of(info)


def test_a_part_of_a_suite_is_called_a_part(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run")
    assert "on the suite's first 2 cases of up to 2 turns" in write_report([run], limit=2).markdown.read_text()
