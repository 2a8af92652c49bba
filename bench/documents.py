#!/usr/bin/env python3
"""Questions about documents whose right passage is known: recall@5 by kind of file, and whether sources of answers are verbatim.

    cargo run --release &                                   # or any server; the mock provider answers
    bench/documents.py [--url http://127.0.0.1:8000] [--chats 120] [--mode hybrid]...

Twelve manuals of our own making, the same texts as Markdown, HTML, DOCX, EPUB, PDF and XLSX (two are long, each has a table). A question does not
say what the manual says in the same words. Every kind has an account of its own, and all twelve files are searched. Needs Python's library only.
"""
import argparse
import io
import json
import statistics
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from xml.sax.saxutils import escape

DEVICES = ["quince pump", "attic boiler", "garden shredder", "bread oven", "tile cutter", "wine press",
           "leaf blower", "pond filter", "night lamp", "paper folder", "floor polisher", "wool winder"]
# Heading, what the manual says, and what somebody asks. {a}, {b}: numbers of this manual.
FACTS = [
    ("Starting", "Hold the green switch of the {d} for {a} seconds until the motor hums.", "How long must I press to turn the {d} on?"),
    ("Oil", "Fill the {d} with {a} millilitres of oil before the season begins.", "How much lubricant does the {d} take?"),
    ("Overheating", "Above {a} degrees the {d} shuts itself off and waits for {b} minutes.", "At which temperature does the {d} stop by itself?"),
    ("Cleaning", "Rinse the sieve of the {d} every {a} days under cold water.", "How often should the sieve of the {d} be washed?"),
    ("Noise", "A rattling {d} has a loose belt: tighten it by {a} turns.", "What do I do when my {d} rattles?"),
    ("Storage", "Keep the {d} dry and above {a} degrees in winter.", "Where does the {d} stay when it is cold outside?"),
    ("Warranty", "The maker of the {d} repairs it free of charge for {a} months.", "For how long are repairs of the {d} free?"),
    ("Children", "Nobody younger than {a} years may use the {d} alone.", "From what age may somebody use the {d} alone?"),
    ("Transport", "The {d} weighs {a} kilograms, so carry it with two people.", "How heavy is the {d}?"),
]
PARTS = ["belt", "fuse", "sieve", "hose", "seal"]
FILLER = ["Read this section before you go on, and keep the manual where others find it.",
          "Wear gloves and do not work alone when you are tired.",
          "Ask your dealer if something looks different from what is shown here.",
          "The pictures may show a slightly different model than the one you have bought.",
          "Unplug the cable first and wait until nothing moves any more.",
          "What is written here holds for all models that were made after the year printed on the cover.",
          "Do not use petrol, thinner or any other strong liquid on the housing.",
          "If the lamp blinks three times, write the code down before you switch anything off."]


def manual(n):
    """[(heading, [paragraph or table])], and [(question, gold words)]."""
    device, sections, questions = DEVICES[n], [], []
    for m, (heading, fact, question) in enumerate(FACTS):
        words = fact.format(d=device, a=11 + 7 * n + m, b=3 + n)
        filler = [" ".join(FILLER[(n + m + k + j) % len(FILLER)] for j in range(3)) for k in range(30 if n < 2 else 3)]
        at = len(filler) // 2
        sections.append((heading, filler[:at] + [words] + filler[at:]))
        questions.append((question.format(d=device), words))
    rows = [("Part", "Number", "Price")] + [(f"{part} of the {device}", f"{n:02}-{k:03}", f"{4 + n + k} euros") for k, part in enumerate(PARTS)]
    sections.append(("Spare parts", [rows]))
    part = rows[1 + n % len(PARTS)]
    questions.append((f"What does a new {part[0]} cost?", part[2]))
    return sections, questions


def lines(table):
    return [" ".join(row) for row in table]


def markdown(sections):
    text = ""
    for heading, paragraphs in sections:
        text += f"## {heading}\n\n"
        for one in paragraphs:
            if isinstance(one, str):
                text += one + "\n\n"
            else:
                text += "\n".join("| " + " | ".join(row) + " |" for row in one[:1] + [["---"] * 3] + one[1:]) + "\n\n"
    return text.encode()


def html_body(sections):
    text = ""
    for heading, paragraphs in sections:
        text += f"<h2>{escape(heading)}</h2>"
        for one in paragraphs:
            if isinstance(one, str):
                text += f"<p>{escape(one)}</p>\n"
            else:
                text += "<table>" + "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in one) + "</table>"
    return text


def html(sections):
    return f"<!doctype html><html><head><title>Manual</title></head><body>{html_body(sections)}</body></html>".encode()


def archive(parts):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in parts:
            out.writestr(zipfile.ZipInfo(name) if name == "mimetype" else name, text)
    return file.getvalue()


def docx(sections):
    def paragraph(text, style=""):
        return f'<w:p>{style}<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'
    body = ""
    for heading, paragraphs in sections:
        body += paragraph(heading, '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>')
        for one in paragraphs:
            if isinstance(one, str):
                body += paragraph(one)
            else:
                cell = lambda text: f"<w:tc>{paragraph(text)}</w:tc>"
                body += "<w:tbl>" + "".join("<w:tr>" + "".join(map(cell, row)) + "</w:tr>" for row in one) + "</w:tbl>"
    space = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return archive([("[Content_Types].xml", "<Types/>"),
                    ("word/document.xml", f'<?xml version="1.0"?><w:document {space}><w:body>{body}</w:body></w:document>')])


def epub(sections):
    items = "".join(f'<item id="c{n}" href="c{n}.xhtml"/>' for n in range(len(sections)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(sections)))
    return archive([("mimetype", "application/epub+zip"),
                    ("META-INF/container.xml", '<container><rootfiles><rootfile full-path="book.opf"/></rootfiles></container>'),
                    ("book.opf", f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>")]
                   + [(f"c{n}.xhtml", f"<html><body>{html_body([one])}</body></html>") for n, one in enumerate(sections)])


def pdf(sections):
    """A page holds fifty lines of ninety letters."""
    import textwrap
    rows = []
    for heading, paragraphs in sections:
        rows += [heading, ""]
        for one in paragraphs:
            rows += (textwrap.wrap(one, 90) if isinstance(one, str) else lines(one)) + [""]
    pages = [rows[at:at + 50] for at in range(0, len(rows), 50)]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
               "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"]
    for n, page in enumerate(pages):
        quoted = (line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") for line in page)
        said = "BT /F1 10 Tf 13 TL 60 740 Td " + " ".join(f"({line}) Tj T*" for line in quoted) + " ET"
        objects.append("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
                       f"/Contents {5 + 2 * n} 0 R >>")
        objects.append(f"<< /Length {len(said)} >>\nstream\n{said}\nendstream")
    file, places = b"%PDF-1.4\n", []
    for n, one in enumerate(objects):
        places.append(len(file))
        file += f"{n + 1} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(file)}\n%%EOF\n"
    return file + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def xlsx(sections):
    """A sheet of rows: the section, and what it says; the table as it is."""
    rows = [("Section", "Text", "Price")]
    for heading, paragraphs in sections:
        for one in paragraphs:
            rows += [(heading, one, "")] if isinstance(one, str) else one[1:]
    cell = lambda text: f'<c t="inlineStr"><is><t>{escape(text)}</t></is></c>'
    data = "".join("<row>" + "".join(map(cell, row)) + "</row>" for row in rows)
    relation = '<Relationships><Relationship Id="rId1" Target="worksheets/sheet1.xml"/></Relationships>'
    return archive([("[Content_Types].xml", "<Types/>"),
                    ("xl/workbook.xml", '<workbook xmlns:r="r"><sheets><sheet name="Manual" sheetId="1" r:id="rId1"/></sheets></workbook>'),
                    ("xl/_rels/workbook.xml.rels", relation),
                    ("xl/worksheets/sheet1.xml", f"<worksheet><sheetData>{data}</sheetData></worksheet>")])


KINDS = {"md": markdown, "html": html, "docx": docx, "epub": epub, "pdf": pdf, "xlsx": xlsx}


class User:
    def __init__(self, url):
        self.url, self.token = url, None
        name = f"documents-{uuid.uuid4().hex[:12]}"
        self.token = self.ask("POST", "/auth/register", {"username": name, "email": f"{name}@example.com",
                                                         "password": f"Aa1-{uuid.uuid4().hex}"})["access_token"]

    def ask(self, method, path, body=None, raw=None):
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/octet-stream" if raw is not None else "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        for _ in range(100):
            try:
                with urllib.request.urlopen(urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method), timeout=120) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != 429:
                    sys.exit(f"{method} {path}: {error.code} {error.read().decode()[:500]}")
                time.sleep(float(error.headers.get("retry-after") or 1))
        sys.exit(f"{method} {path}: too many requests")

    def send(self, name, content):
        file = self.ask("POST", f"/files?name={name}", raw=content)
        while file["status"] in ("queued", "reading"):
            time.sleep(0.1)
            file = self.ask("GET", f"/files/{file['id']}")
        if file["status"] != "indexed":
            sys.exit(f"{name}: {file}")
        return file["id"]

    def until_embedded(self):
        """Vectors come after the words, by jobs: until no such job is left."""
        quiet = 0
        while quiet < 20:
            time.sleep(0.5)
            left = [self.ask("GET", f"/jobs?kind=embedding&status={status}&limit=1")["items"] for status in ("queued", "running")]
            quiet = 0 if any(left) else quiet + 1


def squeezed(text):
    return " ".join(text.replace("|", " ").replace("·", " ").split())


def verbatim(user, texts, source):
    if source["file_id"] not in texts:
        text, cursor = [], ""
        while cursor is not None:
            page = user.ask("GET", f"/files/{source['file_id']}/passages?limit=200{cursor}")
            text += [one["text"] for one in page["items"]]
            cursor = f"&cursor={page['next_cursor']}" if page.get("next_cursor") else None
        texts[source["file_id"]] = "\n".join(text)
    return texts[source["file_id"]][source["start"]:source["end"]] == source["quote"]


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--url", default="http://127.0.0.1:8000")
    options.add_argument("--kind", action="append", choices=KINDS)
    options.add_argument("--mode", action="append", choices=["hybrid", "keyword", "semantic"])
    options.add_argument("--chats", type=int, default=40, help="questions of each kind that are asked in a chat")
    asked = options.parse_args()
    modes = asked.mode or ["hybrid", "keyword", "semantic"]
    manuals = [manual(n) for n in range(len(DEVICES))]
    questions = [one for _, some in manuals for one in some]
    print(f"| kind | {' | '.join(f'recall@5 {mode}' for mode in modes)} | median search ms | answers with a source | sources verbatim |")
    print(f"| --- |{' --- |' * (len(modes) + 3)}")
    all_verbatim = True
    for kind in asked.kind or KINDS:
        user = User(asked.url)
        files = [user.send(f"{DEVICES[n].replace(' ', '-')}.{kind}", KINDS[kind](sections)) for n, (sections, _) in enumerate(manuals)]
        user.until_embedded()
        recall, times = [], []
        for mode in modes:
            hits = 0
            for n, (question, gold) in enumerate(questions):
                begun = time.monotonic()
                found = user.ask("POST", "/knowledge/search", {"query": question, "mode": mode, "limit": 5})["items"]
                times.append(time.monotonic() - begun)
                wanted = files[n // (len(FACTS) + 1)]
                hits += any(one["passage"]["file_id"] == wanted and gold in squeezed(one["passage"]["text"]) for one in found)
            recall.append(hits / len(questions))
        session = user.ask("POST", "/chat/sessions", {})["id"]
        user.ask("PUT", f"/chat/sessions/{session}/files", {"file_ids": files})
        texts, sourced, sources, good = {}, 0, 0, 0
        for question, _ in questions[:: max(1, len(questions) // asked.chats)] if asked.chats else []:
            said = user.ask("POST", "/chat", {"session_id": session, "message": question, "enable_memory": False})["sources"]
            sourced, sources = sourced + bool(said), sources + len(said)
            good += sum(verbatim(user, texts, source) for source in said)
        all_verbatim &= good == sources
        print(f"| {kind} | {' | '.join(f'{share:.2f}' for share in recall)} | {statistics.median(times) * 1000:.0f} | {sourced} | {good} of {sources} |", flush=True)
    sys.exit(0 if all_verbatim else 1)


main()
