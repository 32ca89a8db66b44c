#!/usr/bin/env python3
"""Typeset the sample library: every NN-*.typ here becomes pdf/NN-*.pdf.

    python3 typeset.py           write the PDFs
    python3 typeset.py --check   exit 1, naming each PDF that its source no longer gives

The output is the same byte for byte on every machine: the template sets no
date, the timestamp is fixed, and only the fonts inside the typesetter are used.
"""

import argparse
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PDF = HERE / "pdf"


def load_typesetter():
    """The `typst` module, in the version that requirements.txt pins."""
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8").strip()
    try:
        import typst
    except ImportError:
        sys.exit(f"The typesetter is missing: run `pip install {wanted}`.")
    found = f"typst=={typst.__version__}"
    if found != wanted:
        sys.exit(f"The typesetter is {found}: run `pip install {wanted}`.")
    return typst


def typeset(typst, source, target):
    typst.compile(
        source,
        output=target,
        root=HERE,
        ignore_system_fonts=True,
        timestamp=0,
    )


def main():
    parser = argparse.ArgumentParser(description="Typeset the sample library.")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit 1 naming each PDF that is out of date with its source",
    )
    check = parser.parse_args().check

    sources = sorted(HERE.glob("[0-9][0-9]-*.typ"))
    if not sources:
        sys.exit(f"No booklet (NN-*.typ) in {HERE}.")
    typst = load_typesetter()
    failed = []

    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch) if check else PDF
        folder.mkdir(exist_ok=True)
        for source in sources:
            target = folder / f"{source.stem}.pdf"
            try:
                typeset(typst, source, target)
            except typst.TypstError as error:
                failed.append(f"{source.name}: does not compile: {error}")
                continue
            if not check:
                print(f"pdf/{target.name}")
                continue
            kept = PDF / target.name
            if not kept.exists():
                failed.append(f"pdf/{kept.name}: missing")
            elif kept.read_bytes() != target.read_bytes():
                failed.append(f"pdf/{kept.name}: out of date with {source.name}")

    if check:
        stems = {source.stem for source in sources}
        for kept in sorted(PDF.glob("*.pdf")):
            if kept.stem not in stems:
                failed.append(f"pdf/{kept.name}: has no source")

    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
