"""Reads PDFs with what a Python user would pick.

    pages.py langchain FILE         PyPDFLoader and RecursiveCharacterTextSplitter
    pages.py pymupdf FILE           PyMuPDF's text
    pages.py unmusical FILE BOXES   what pdftotext reads but for what fonts draw that draw music
    pages.py endings FILE…          how PyPDFLoader ends with each
    pages.py cut COUNT… FOLDER FILE the first pages of a PDF, in a file COUNT.pdf for each of the counts

The first two write one JSON object: pages, seconds from the opened file on, the process's peak memory in KiB, and the
text of each page. `pymupdf` also says what each page holds without the fonts that draw music (`printed`; null where it
has none of them), which is not timed. `unmusical` writes the text of each page, from the words and boxes that
`pdftotext -bbox-layout` wrote: pdftotext itself does not say in which fonts its words are.
"""

import html
import json
import logging
import re
import signal
import sys
import time
import warnings
from pathlib import Path

# Passages of some 512 tokens with an overlap of 128, as Etude makes them.
CHUNK_CHARS = 2_000
OVERLAP_CHARS = 500
WORD = re.compile(r'<word xMin="([-\d.]+)" yMin="([-\d.]+)" xMax="([-\d.]+)" yMax="([-\d.]+)">(.*?)</word>', re.DOTALL)
MUSIC = re.compile("emmentaler|feta|parmesan", re.IGNORECASE)
SECONDS_FOR_ONE_FILE = 60


def langchain(path):
    from langchain_community.document_loaders import PyPDFLoader
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    start = time.perf_counter()
    pages = PyPDFLoader(path).load()
    splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS)
    splitter.split_documents(pages)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "texts": [page.page_content for page in pages]}


def pymupdf(path):
    import pymupdf

    start = time.perf_counter()
    with pymupdf.open(path) as document:
        texts = [page.get_text() for page in document]
    read = {"seconds": time.perf_counter() - start, "texts": texts, "peak_kb": peak_kb()}
    with pymupdf.open(path) as document:
        return read | {"printed": [printed(page) for page in document]}


def printed(page):
    if not any(MUSIC.search(font[3]) for font in page.get_fonts(full=True)):
        return None
    lines = []
    for block in page.get_text("dict", flags=0)["blocks"]:
        for line in block.get("lines", []):
            spans = [span["text"] for span in line["spans"] if not MUSIC.search(span["font"])]
            lines.append("".join(spans))
    return "\n".join(lines)


def unmusical(path, boxes):
    import pymupdf

    words = [WORD.findall(page) for page in Path(boxes).read_text(errors="replace").split("<page ")[1:]]
    with pymupdf.open(path) as document:
        return [text_of(page, words_of) for page, words_of in zip(document, words, strict=True)]


def text_of(page, words):
    music, letters = glyphs(page)

    def is_music(left, top, right, bottom):
        """Whether music is all that is drawn within the box of a word."""

        def is_within(place):
            return left - 0.1 <= place[0] <= right and top <= place[1] <= bottom

        return any(map(is_within, music)) and not any(map(is_within, letters))

    return " ".join(html.unescape(text) for *box, text in words if not is_music(*map(float, box)))


def glyphs(page):
    """Where on its baseline each glyph of music on a page begins, and each other one, if there is music at all."""
    music, letters = [], []
    if any(MUSIC.search(font[3]) for font in page.get_fonts(full=True)):
        for block in page.get_text("rawdict", flags=0)["blocks"]:
            for line in block.get("lines", []):
                for span in line["spans"]:
                    places = music if MUSIC.search(span["font"]) else letters
                    places.extend(char["origin"] for char in span["chars"])
    return music, letters


def endings(paths):
    from langchain_community.document_loaders import PyPDFLoader

    def ended(path):
        signal.alarm(SECONDS_FOR_ONE_FILE)
        try:
            return f"{len(PyPDFLoader(path).load())} pages"
        except Exception as error:
            return type(error).__name__
        finally:
            signal.alarm(0)

    def too_long(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    return [ended(path) for path in paths]


def cut(*words):
    from pypdf import PdfReader, PdfWriter

    *counts, folder, path = words
    document = PdfReader(path)
    for count in counts:
        first = PdfWriter()
        first.append(document, pages=(0, int(count)), import_outline=False)
        first.write(Path(folder, f"{count}.pdf"))


def peak_kb():
    # Not getrusage: a process inherits the peak of the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1])


def main(side, *paths):
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    if side == "endings":
        json.dump(endings(paths), sys.stdout)
        return
    if side == "cut":
        cut(*paths)
        return
    if side == "unmusical":
        json.dump(unmusical(*paths), sys.stdout)
        return
    read = {"langchain": langchain, "pymupdf": pymupdf}[side](*paths)
    json.dump({"peak_kb": peak_kb(), "pages": len(read["texts"])} | read, sys.stdout)


main(*sys.argv[1:])
