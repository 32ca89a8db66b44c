"""Reads PDFs with what a Python user would pick.

    pages.py langchain FILE     PyPDFLoader and RecursiveCharacterTextSplitter
    pages.py pymupdf FILE       PyMuPDF's text
    pages.py endings FILE…      how PyPDFLoader ends with each

The first two write one JSON object: pages, seconds from the opened file on, the process's peak memory in KiB, and the
text of each page. `pymupdf` also says what each page holds without the fonts that draw music (`printed`; null where it
has none of them), which is not timed.
"""

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
    read = {"langchain": langchain, "pymupdf": pymupdf}[side](*paths)
    json.dump({"peak_kb": peak_kb(), "pages": len(read["texts"])} | read, sys.stdout)


main(*sys.argv[1:])
