"""Edit a picture over two turns from Python, then go back and take another way.

    python examples/edit_in_python.py [FOLDER]

Runs in seconds on a CPU with the embedded model.
"""

from __future__ import annotations

import sys
import tempfile

import undrift
from undrift.littleworld import demo
from undrift.session.compare import compare
from undrift.session.export import export_png, write_contact_sheet


def main() -> None:
    """Edit, undo, branch, compare, export."""
    folder = sys.argv[1] if len(sys.argv) > 1 else f"{tempfile.mkdtemp(prefix='undrift-')}/session"
    model = undrift.load("littleworld")
    method = undrift.method("undrift", model)
    session = undrift.start_session(folder, demo.picture(), demo.prompt(), model)

    for prompt in demo.edits()[:2]:
        turn = undrift.run_turn(session, model, method, undrift.EditPlan(prompt, seed=1))
        print(f"turn {turn.number}: {turn.prompt} ({turn.evaluations} evaluations, {turn.seconds:.1f} s)")

    session.undo()
    session.branch("snow")
    snow = demo.edits()[0].replace("on a beach", "in the snow")
    other = undrift.run_turn(session, model, method, undrift.EditPlan(snow, seed=1))
    difference = compare(session, turn, other)
    print(f"the two ways differ in {100 * difference.numbers.changed:.0f} % of the pixels")

    export_png(session, other, f"{folder}/snow.png")
    write_contact_sheet(session, f"{folder}/sheet.png")
    print(session.tree().text())
    print(f"look at {folder}/sheet.png")


if __name__ == "__main__":
    main()
