import csv

import pytest

from cof.data.benchmarks import hrbench
from cof.errors import InputError, InvalidImage
from tests.data.benchmarks.copies import check, in_base64, one_line, write_tsv

OPTIONS = ["27B", "37B", "27D", "27E"]


def cycles(first, question, category, image):
    """Four rows as the file has them: the options turned round, and the letter with them."""
    for cycle in range(4):
        turned = OPTIONS[cycle:] + OPTIONS[:cycle]
        yield {
            "index": first + cycle,
            "question": question,
            "answer": "ABCD"[turned.index("27B")],
            "category": category,
            **dict(zip("ABCD", turned, strict=True)),
            "cycle_category": cycle,
            "image": image,
        }


def copy(folder, name="hr_bench_4k.tsv"):
    first, second = in_base64(), in_base64(form="PNG")
    question = "What number is above the door?"
    rows = [*cycles(0, question, "single", first), *cycles(4, question, "cross", second)]
    return write_tsv(folder / name, rows)


def test_rows(tmp_path):
    items = check(hrbench.items(copy(tmp_path), 0))
    assert [i.question.id for i in items] == [str(i) for i in range(8)]
    assert [i.question.category for i in items] == ["single"] * 4 + ["cross"] * 4
    assert {i.question.answer for i in items} == {"27B"}
    assert [i.question.choices.index("27B") for i in items[:4]] == [0, 3, 2, 1]
    assert items[1].question.choices == ("37B", "27D", "27E", "27B")


def test_the_cycles_of_a_question_are_one_group(tmp_path):
    groups = [item.group for item in hrbench.items(copy(tmp_path), 0)]
    assert len(set(groups[:4])) == 1
    assert len(set(groups[4:])) == 1
    assert groups[0] != groups[4]  # the same words about another picture
    assert all(groups)


def test_a_folder_with_one_file(tmp_path):
    copy(tmp_path)
    assert len(list(hrbench.items(tmp_path, 0))) == 8


def test_a_folder_with_both_sizes(tmp_path):
    copy(tmp_path)
    copy(tmp_path, "hr_bench_8k.tsv")
    with pytest.raises(InputError, match="hr_bench_4k.tsv and hr_bench_8k.tsv; give the path of the one") as error:
        list(hrbench.items(tmp_path, 0))
    one_line(error)


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = list(cycles(0, "What number?", "single", in_base64()))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "hr_bench_4k.parquet")
    items = check(hrbench.items(tmp_path, 0))
    assert [i.question.id for i in items] == ["0", "1", "2", "3"]


def test_pictures_are_not_decoded_before_they_are_wanted(tmp_path):
    file = write_tsv(tmp_path / "hr_bench_4k.tsv", list(cycles(0, "What?", "single", "no picture!")))
    items = list(hrbench.items(file, 0))
    with pytest.raises(InvalidImage, match="row 1 holds a picture that is not base64") as error:
        items[0].load()
    one_line(error)


def test_large_pictures_leave_the_process_as_it_was(tmp_path):
    before = csv.field_size_limit()
    file = write_tsv(tmp_path / "hr_bench_8k.tsv", list(cycles(0, "What?", "single", "A" * 4 * before)))
    for item in hrbench.items(file, 0):
        assert csv.field_size_limit() == before
        with pytest.raises(InvalidImage, match="the picture given as bytes is of an unknown format") as error:
            item.load()
        one_line(error)


def test_a_file_that_is_cut_short(tmp_path):
    file = copy(tmp_path)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:3]) + lines[3][:40])
    found = hrbench.items(file, 0)
    assert [next(found).question.id, next(found).question.id] == ["0", "1"]
    with pytest.raises(InputError, match="row 3 has 4 fields; want 10, as in the header") as error:
        next(found)
    one_line(error)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"answer": "E"}, "row 1, field 'answer' is 'E'; want one of A, B, C, D"),
        ({"image": ""}, "row 1 has no 'image', or an empty one"),
        ({"B": "", "C": "", "D": ""}, "row 1 has 1 options"),
    ],
)
def test_bad_row(tmp_path, damage, message):
    row = next(cycles(0, "What?", "single", in_base64())) | damage
    with pytest.raises(InputError, match=message) as error:
        list(hrbench.items(write_tsv(tmp_path / "hr_bench_4k.tsv", [row]), 0))
    assert "hr_bench_4k.tsv" in one_line(error)


def test_missing(tmp_path):
    with pytest.raises(InputError, match="does not exist; get hr_bench_4k.tsv") as error:
        list(hrbench.items(tmp_path / "absent.tsv", 0))
    one_line(error)
    (tmp_path / "hr_bench_4k.tsv").write_text("")
    with pytest.raises(InputError, match="has no rows") as error:
        list(hrbench.items(tmp_path, 0))
    one_line(error)
