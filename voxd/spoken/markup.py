"""What markup that must not be spoken looks like: one judge for each construct, by its first character."""

import html
import re
from collections.abc import Mapping
from types import MappingProxyType

from voxd.spoken.model_tokens import (
    CALLS,
    JSON,
    THOUGHTS,
    WAIT,
    WORD_TOKEN,
    Judge,
    MarkupVerdict,
    control_token,
    diamond,
    leaked,
    until_tag,
    word_token,
)
from voxd.spoken.tex import backslash, dollar

_UNSPOKEN = r"(?:script|style|svg|math|head|template|iframe|canvas|object|pre|audio|video)"
_BLOCK_TAG = re.compile(rf"<({THOUGHTS}|{CALLS}|{_UNSPOKEN})(?:[\s=][^<>]*)?(/?)>", re.IGNORECASE)
_IS_THOUGHT = re.compile(THOUGHTS, re.IGNORECASE)
_IS_UNSPOKEN = re.compile(_UNSPOKEN, re.IGNORECASE)
# Tags of HTML, SSML and of models' answers, which leave nothing behind.
_KNOWN_TAGS = re.compile(
    r"a|abbr|acronym|address|answer|article|aside|b|base|bdi|bdo|big|blockquote|body|bos|br|break|button"
    r"|caption|center|cite|code|col|colgroup|dd|del|details|dfn|div|dl|dt|em|emphasis|eos|fieldset"
    r"|figcaption|figure|final|final_answer|font|footer|form|h1|h2|h3|h4|h5|h6|header|hr|html|i|img"
    r"|input|ins|kbd|label|lang|laugh|legend|li|link|main|mark|meta|nav|ol|option|output|p|pad|phoneme"
    r"|picture|prosody|q|reply|response|result|ruby|s|samp|section|select|sigh|small|source|speak|span"
    r"|strike|strong|sub|summary|sup|table|tbody|td|textarea|tfoot|th|thead|time|title|tr|tt|u|ul|unk"
    r"|user|assistant|system|var|voice|w|wbr"
)
# They separate words.
_BREAKS = re.compile(
    r"br|p|div|li|ul|ol|tr|td|th|table|h1|h2|h3|h4|h5|h6|hr|blockquote|dd|dt|section|article"
    r"|address|aside|caption|details|figcaption|footer|header|legend|main|nav|option|summary|title"
)
_ATTRIBUTES = (
    r"(?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'<>]+)|\s+(?:checked|disabled|hidden|controls))*"
)
_TAG = re.compile(rf"<(/?)([A-Za-z][\w.:-]*)({_ATTRIBUTES})\s*(/?)>")
_OPEN_TAG = re.compile(r"</?(?:[A-Za-z][^<>\n]{0,300})?$")
_AUTOLINK = re.compile(r"<(?:(?:https?|ftp)://[^\s<>]*|mailto:([^\s<>]*)|([\w.+-]+@[\w.-]+))>")
_TARGET = re.compile(r"\s*(?:<[^<>]*>|[^\s]*)(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*")
_CITATION = re.compile(r"\^?\d{1,3}(?:\s*[,;–-]\s*\^?\d{1,3})*|\^[^\]\s]{1,40}")  # noqa: RUF001
_JSON_OPENING = re.compile(r"(?:\[\s*)?\{\s*(?:\"(?:[^\"\\\n]|\\.){1,80}\"|'[^'\n]{1,80}')\s*:")
_JSON_MAYBE = re.compile(r"(?:\[\s*)?(?:\{\s*(?:\"(?:[^\"\\\n]|\\.){0,80}\"?|'[^'\n]{0,80}'?)?\s*)?$")
# Llama and others write calls as Python: "[get_time(zone='UTC'), stop()]".
_PYTHON_CALL = r"[A-Za-z_][\w.]*\((?:\s*|\s*\w+\s*=[^\n]*)\)"
_PYTHON_CALLS = re.compile(rf"\s*{_PYTHON_CALL}(?:\s*,\s*{_PYTHON_CALL})*\s*")
_CALL_OPENING = re.compile(
    r"\s*(?:\[\s*)?\{\s*\"(?:name|function|tool|tool_name|tool_calls?|function_call|action)\"\s*:"
)
_CALL_MAYBE = re.compile(r"\s*(?:\[\s*)?(?:\{\s*(?:\"\w{0,16}\"?\s*)?)?")
_ADDRESS = re.compile(r"(?:https?|ftp)://|www\.(?=\w)", re.IGNORECASE)
_ADDRESS_STARTS = ("http://", "https://", "ftp://", "www.")
_ADDRESS_END = re.compile(r"[\s<>\"`\u3000-\u303f\uff00-\uff5e]")
_TRAILING = ".,;:!?'*_~»”’)]}"  # noqa: RUF001
_WORDS = re.compile(r"[^\W_][\w .,'&+-]*(?:\(\))?")
_STAGE = re.compile(r"\*([a-z]+)(?: [a-z' ,-]{0,40})?\*(?!\*)")
_STAGE_VERBS = re.compile(
    r"beams|bows|blushes|chuckles|clears|coughs|cries|exhales|frowns|gasps|giggles|grins|groans|hums"
    r"|inhales|laughs|leans|looks|nods|pauses|scratches|shrugs|sighs|sings|smiles|smirks|sniffs|snorts"
    r"|sobs|stares|thinks|waves|whispers|whistles|winks|yawns|laughing|smiling|sighing|whispering"
)
_SOURCE = re.compile(r"【(?:[^】\n]*†[^】\n]*|[\d:\s,-]{1,20}|source|citation)】")
_CITED = re.compile(r":contentReference\[[^\]\n]{0,60}\](?:\{[^}\n]{0,60}\})?")


MAX_CALL_OPENING_CHARS = 80
"""Within so many characters a fence shows whether it holds a call."""


def angle(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``<``: control tokens, thoughts, calls, HTML; ``a < b`` is text."""
    if verdict := control_token(held, is_last):
        return verdict
    if held.startswith("<!--"):
        return MarkupVerdict(4, until=until_tag("-->"))
    if len(held) > 1 and held[1] in "!?" and (end := held.find(">")) > 0:
        return MarkupVerdict(end + 1)
    if "<<SYS>>".startswith(held[:7]) or "<</SYS>>".startswith(held[:8]):
        complete = held.find(">>")
        return MarkupVerdict(complete + 2, is_inner=True) if complete > 0 else None if is_last else WAIT
    if found := _AUTOLINK.match(held):
        return MarkupVerdict(found.end(), found[1] or found[2] or "")
    if found := _BLOCK_TAG.match(held):
        return _block(found)
    if found := _TAG.match(held):
        return _tag(found, line)
    return WAIT if not is_last and (held[1:2] in "!?" or _OPEN_TAG.match(held)) else None


def _block(found: re.Match[str]) -> MarkupVerdict:
    name, is_closed = found[1], bool(found[2])
    is_inner = not _IS_UNSPOKEN.fullmatch(name)
    if is_closed:
        return MarkupVerdict(found.end(), is_inner=is_inner)
    # A thought that a model opens with one tag may be closed by the short one.
    names = rf"(?:{re.escape(name)}|think|thinking)" if _IS_THOUGHT.fullmatch(name) else re.escape(name)
    return MarkupVerdict(found.end(), until=until_tag(rf"</{names}\s*>"), is_inner=is_inner)


def _tag(found: re.Match[str], line: str) -> MarkupVerdict | None:
    closes, name, attributes, is_closed = bool(found[1]), found[2].lower(), found[3].strip(), bool(found[4])
    if closes and re.fullmatch(THOUGHTS, name):
        # The template of the prompt opened it: all that came before was a thought.
        return MarkupVerdict(found.end(), is_inner=True, retracts=True)
    if _KNOWN_TAGS.fullmatch(name) or closes or is_closed or attributes or re.search(r"[_:.-]", name):
        return MarkupVerdict(found.end(), " " if _BREAKS.fullmatch(name) else "")
    # "<name>" in prose is a place to fill in, in "List<int>" a type.
    return MarkupVerdict(found.end(), f" {found[2]}" if line[-1:].isalnum() else found[2])


def bracket(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``[``: tokens of Mistral, citations, links, JSON; "[sic]" is text."""
    if found := WORD_TOKEN.match(held):
        return word_token(found)
    if verdict := _json_value(held, is_last):
        return verdict
    end = _closing(held, "[", "]")
    if end < 0:
        return WAIT if not is_last and "\n" not in held else None
    inner, follows = held[1:end], held[end + 1 : end + 2]
    if _PYTHON_CALLS.fullmatch(inner):
        return MarkupVerdict(end + 1, is_inner=True)
    if not follows and not is_last:
        return WAIT
    if follows == "(" and (verdict := _link(held, inner, end, is_last)):
        return verdict
    if follows == ":" and not line.strip() and not inner.startswith("^"):
        return _definition(held, end, is_last)
    if _CITATION.fullmatch(inner):
        return MarkupVerdict(end + 1 + (follows == ":" and not line.strip()))
    if inner in {" ", "x", "X"} and re.fullmatch(r"\s*[-*+]\s+|\s*\d+[.)]\s+|\s*", line):
        return MarkupVerdict(end + 1)
    if follows == "[" and (second := re.match(r"\[[^\]\n]{0,40}\]", held[end + 1 :])):
        return MarkupVerdict(end + 1 + second.end(), _words_of(inner))
    return WAIT if follows == "[" and not is_last and "\n" not in held[end:] else None


def _closing(held: str, opens: str, closes: str) -> int:
    """Return where the bracket at the beginning is closed in the same line, -1 when it is not."""
    depth = 0
    for at, letter in enumerate(held):
        depth += (letter == opens) - (letter == closes)
        if depth == 0:
            return at
        if letter == "\n":
            break
    return -1


def _link(held: str, inner: str, end: int, is_last: bool) -> MarkupVerdict | None:
    target = _closing(held[end + 1 :], "(", ")")
    if target < 0:
        return WAIT if not is_last and "\n" not in held[end:] else None
    # An address, and perhaps a title: "a[0](x, y)" is a call.
    is_link = _TARGET.fullmatch(held[end + 2 : end + 1 + target])
    return MarkupVerdict(end + 2 + target, _words_of(inner)) if is_link else None


def _definition(held: str, end: int, is_last: bool) -> MarkupVerdict | None:
    """``[1]: https://…``: the address of a link, on a line of its own."""
    rest = held[end + 2 :]
    if "\n" in rest or is_last:
        is_address = re.match(r"\s*<?(?:https?://|www\.|[#./])", rest)
        return MarkupVerdict(end + 2 + len(rest.partition("\n")[0])) if is_address else None
    return WAIT


def _words_of(inner: str) -> str:
    """Return the words of a link; none when they are its address or a number."""
    text = inner.strip()
    if _CITATION.fullmatch(text.strip("[]")) or _ADDRESS.match(text):
        return ""
    image = re.fullmatch(r"!\[([^\]]*)\]\(.*\)?", text)
    return (image[1] if image else text).replace("\n", " ")


def bang(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``!``: an image, of which the description is spoken."""
    if len(held) < 2:
        return None if is_last else WAIT
    if held[1] != "[":
        return None
    verdict = bracket(held[1:], line, is_last)
    return verdict if verdict in (None, WAIT) else verdict._replace(length=verdict.length + 1)


def brace(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``{``: a JSON object, most likely a call of a tool."""
    return _json_value(held, is_last)


def _json_value(held: str, is_last: bool) -> MarkupVerdict | None:
    if _JSON_OPENING.match(held):
        return MarkupVerdict(1, until=JSON, is_inner=True)
    return WAIT if _JSON_MAYBE.fullmatch(held) and not is_last else None


def backtick(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """`` ` ``: a fence at the beginning of a line, or code within it."""
    run = len(held) - len(held.lstrip("`"))
    if run == len(held) and not is_last:
        return WAIT
    rest = held[run:]
    if run >= 3 and _is_line_start(line) and "`" not in rest.partition("\n")[0]:
        return _fence(held, "`", run, is_last)
    closing = re.search(rf"(?<!`)`{{{run}}}(?!`)", rest)
    if closing and (closing.end() < len(rest) or is_last):
        # Words and names are spoken, but nothing with signs in it.
        code = rest[: closing.start()].strip()
        return MarkupVerdict(run + closing.end(), code.removesuffix("()") if _WORDS.fullmatch(code) else "")
    if "\n" in rest or is_last:
        # A mark without its partner.
        return MarkupVerdict(run)
    return WAIT


def tilde(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``~``: a fence at the beginning of a line."""
    run = len(held) - len(held.lstrip("~"))
    if run == len(held) and not is_last:
        return WAIT
    return _fence(held, "~", run, is_last) if run >= 3 and _is_line_start(line) else None


def _is_line_start(line: str) -> bool:
    return re.fullmatch(r"(?:\s|[-*+>]\s|\d+[.)]\s)*", line) is not None


def _fence(held: str, mark: str, run: int, is_last: bool) -> MarkupVerdict:
    head, newline, _ = held.partition("\n")
    if not newline and not is_last:
        return WAIT
    # A model may put its whole answer into such a fence; the line that closes it is one that opens nothing.
    if head[run:].strip().lower() in {"markdown", "md"}:
        return MarkupVerdict(len(head))
    is_call = _holds_call(head[run:].strip().lower(), held[len(head) :], is_last)
    if is_call is None:
        return WAIT
    end = re.compile(rf"\n[ \t>]*{mark}{{{run},}}[ \t]*(?=\n)")
    return MarkupVerdict(len(head), until=end, is_inner=is_call)


def _holds_call(language: str, code: str, is_last: bool) -> bool | None:
    """Whether a fence holds a call of a tool, which is no answer; None when more of it is needed."""
    if re.fullmatch(CALLS, language):
        return True
    if language not in {"", "json"} or _CALL_OPENING.match(code):
        return language in {"", "json"}
    is_open = len(code) < MAX_CALL_OPENING_CHARS and _CALL_MAYBE.fullmatch(code)
    return None if is_open and not is_last else False


def ampersand(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``&``: an entity of HTML; "AT&T" is text."""
    if found := re.match(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});", held):
        letters = html.unescape(found[0])
        return None if letters == found[0] else MarkupVerdict(found.end(), letters.replace("\xa0", " "))
    return WAIT if not is_last and re.fullmatch(r"&#?\w{0,31}", held) else None


def address(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """A URL; a name such as "example.com" is text."""
    if line[-1:].isalnum():
        return None
    lowered = held.lower()
    if not _ADDRESS.match(held):
        return WAIT if not is_last and any(each.startswith(lowered) for each in _ADDRESS_STARTS) else None
    ended = _ADDRESS_END.search(held)
    if ended is None and not is_last:
        return WAIT
    url = held[: ended.start()] if ended else held
    while url and url[-1] in _TRAILING and not (url[-1] == ")" and url.count("(") >= url.count(")")):
        url = url[:-1]
    return MarkupVerdict(len(url)) if url else None


def mail_scheme(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``mailto:`` before an address, which is spoken."""
    if line[-1:].isalnum():
        return None
    if held.lower().startswith("mailto:"):
        return MarkupVerdict(7)
    return WAIT if not is_last and "mailto:".startswith(held.lower()) else None


def star(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``*``: a stage direction such as ``*laughs*``; any other emphasis is spoken."""
    if found := _STAGE.match(held):
        return MarkupVerdict(found.end()) if _STAGE_VERBS.fullmatch(found[1]) else None
    begun = re.fullmatch(r"\*([a-z]+)(?: [a-z' ,-]{0,40})?\*?", held)
    if held == "*" or (begun and _STAGE_VERBS.fullmatch(begun[1])):
        return None if is_last else WAIT
    # The verb itself may still be arriving.
    return WAIT if not is_last and re.fullmatch(r"\*[a-z]{1,10}", held) else None


def source(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``【4:0†source】``, a citation of OpenAI; a Japanese heading in such brackets is text."""
    if found := _SOURCE.match(held):
        return MarkupVerdict(found.end())
    return WAIT if not is_last and "】" not in held and "\n" not in held and len(held) < 100 else None


def private(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """Characters of the private use area, in which ChatGPT encloses citations."""
    if held[0] != "\ue200":
        return MarkupVerdict(1)
    end = held.find("\ue201")
    return MarkupVerdict(end + 1) if end > 0 else MarkupVerdict(1) if is_last or len(held) > 300 else WAIT


def colon(held: str, line: str, is_last: bool) -> MarkupVerdict | None:
    """``:contentReference[oaicite:0]{index=0}``."""
    found = _CITED.match(held)
    if found and (is_last or held[found.end() :][:1] not in {"", "{"}):
        return MarkupVerdict(found.end())
    start = ":contentReference["
    return WAIT if not is_last and (start.startswith(held) or held.startswith(start)) else None


_JUDGES: dict[str, tuple[Judge, ...]] = {
    "<": (angle,),
    "[": (bracket,),
    "!": (bang,),
    "{": (brace,),
    "`": (backtick,),
    "~": (tilde,),
    "$": (dollar,),
    "\\": (backslash,),
    "&": (ampersand,),
    "*": (star,),
    "【": (source,),
    ":": (colon,),
    "◁": (diamond,),
    "a": (leaked,),
    **dict.fromkeys("hHfFwW", (address,)),
    **dict.fromkeys("mM", (mail_scheme,)),
    **{chr(code): (private,) for code in range(0xE000, 0xF900)},
}
JUDGES: Mapping[str, tuple[Judge, ...]] = MappingProxyType(_JUDGES)
"""The judges of the constructs that begin with a character."""
