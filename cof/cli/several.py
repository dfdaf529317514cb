"""Several answers of `cof ask`, printed as they end, under headings or as lines of JSON. Their pages are in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cof.cli import status
from cof.cli.answers import print_answer, print_line
from cof.cli.asking import AnsweredQuestion, Questionnaire, ask_all
from cof.cli.console import print_json, printable, say
from cof.data.outside import OUTSIDE
from cof.errors import InputError, ModelError
from cof.loop.notes import unreadable
from cof.loop.setting import Setting
from cof.models.base import Model
from cof.trace import Trace
from cof.view.browse import Entry, ShownTrace, write_index, write_page, write_traces
from cof.view.encoded import EncodedPicture
from cof.view.summary import summary

ANSWERS = "answers"  # the folder of the pages, within the folder of --trace


def check_folder(folder: Path | None, answers: int) -> None:
    """Raises InputError where `--trace` names a file for several answers."""
    if folder is not None and (folder.suffix.lower() in (".html", ".json") or folder.is_file()):
        raise InputError(f"--trace {folder} is one file for {answers} answers; want a folder, such as --trace traces")


def ask_several(
    model: Model, questionnaire: Questionnaire, setting: Setting, as_json: bool, folder: Path | None
) -> None:
    """Ask every question about every picture, and print each answer as it ends. Raises ModelError where one of them failed."""
    printed = _Printed(questionnaire.total, len(questionnaire.texts) > 1, as_json, folder)
    printed.progress()
    try:
        ask_all(model, questionnaire, setting, printed.deliver)
    finally:  # also after an interruption
        status.clear()
        printed.finish()
    traces = [shown.trace for shown in printed.shown]
    if troubles := [trouble for trace in traces if (trouble := unreadable(trace))]:
        say(f"of {len(troubles)} answers nothing could be read; of the first, {troubles[0]}")
    if errors := [trace.error for trace in traces if trace.error]:
        raise ModelError(f"{len(errors)} of {len(traces)} questions failed; the first: {errors[0]}")


class _Printed:
    """What has been printed so far, of `total` answers. Where questions differ, headings name them (`named`)."""

    def __init__(self, total: int, named: bool, as_json: bool, folder: Path | None) -> None:
        self.total, self.named, self.as_json, self.folder = total, named, as_json, folder
        self.shown, self.entries = list[ShownTrace](), list[Entry]()

    def progress(self) -> None:
        """Show how many answers there are."""
        status.show(f"cof: {len(self.shown)} of {self.total} answered")

    def deliver(self, each: AnsweredQuestion) -> None:
        """Print an answer, and write its page where there is a folder."""
        status.clear()
        if self.as_json:
            asked = {"image": each.asked.image, "question": each.asked.text}
            print_json(asked | summary(each.trace))
        else:
            self._print(each)
        self._keep(each)
        self.progress()

    def finish(self) -> None:
        """Write the traces and the index beside the pages."""
        if self.folder is not None and self.entries:
            write_traces(self.folder, ANSWERS, self.shown)
            index = write_index(self.folder, [ANSWERS], self.entries)
            if not self.as_json:
                print(f"\n{len(self.entries)} page{'s' * (len(self.entries) != 1)} in {index}")

    def _print(self, each: AnsweredQuestion) -> None:
        heading = f"{each.asked.image}: {each.asked.text}" if self.named else each.asked.image
        print(("\n" if self.shown else "") + printable(heading))
        trace = each.trace
        if trace.outside:
            print_line("outside", OUTSIDE)
        if trace.error is None:
            print_answer(trace)
        else:
            print_line("error", trace.error)

    def _keep(self, each: AnsweredQuestion) -> None:
        n, trace = len(self.shown) + 1, _numbered(each.trace, len(self.shown) + 1)
        self.shown.append(ShownTrace(trace.id, trace))
        if self.folder is not None:
            picture = [EncodedPicture(each.picture.image)] if each.picture else trace.error or "it cannot be read"
            self.entries.append(write_page(self.folder, ANSWERS, n, self.shown[-1], picture))


def _numbered(trace: Trace, n: int) -> Trace:
    """The trace with its number as its id, as traces of one file have different ids."""
    return replace(trace, id=str(n), question=replace(trace.question, id=str(n)))
