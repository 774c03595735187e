#!/usr/bin/python3
"""bucketseal's format 1 once more, in Python: written from the specification (docs/format.md and
c2sp.org/chunked-encryption), sharing no code with the TypeScript. It opens and seals objects, unwraps data keys, and
makes the test vectors. Needs the package `cryptography` (Debian: python3-cryptography).

    bucketseal_format.py open    --dek HEX [--bucket B --key K] < object   > plaintext
    bucketseal_format.py seal    --dek HEX --id UUID --bucket B --key K    < plaintext > object
    bucketseal_format.py unwrap  --root-key HEX --aad S --aad S …          < envelope  > data key in hex
    bucketseal_format.py root-key --master-key FILE --path P [--version V] < document  > root key material in hex
    bucketseal_format.py vectors FOLDER

A HEX may also be @FILE, so that no key shows in the list of processes. Exit code: 0 done; 1 refused, with the reason on
stderr, and what was written until then is a true prefix of the plaintext and no more; 2 wrong usage.
"""

import argparse
import base64
import hashlib
import hmac
import io
import json
import os
import re
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

MAGIC = b"bucketseal/1\n"
MAX_HEADER = 8192
LABEL = b"c2sp.org/chunked-encryption@v1+" + b"AEAD_AES_256_GCM" + b"\0"
KEY, SALT, COMMITMENT, CHUNK, TAG = 32, 24, 32, 16384, 16
MAX_CHUNKS = 2**38
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Refused(Exception):
    """What was read is not what it should be. `kind` is `none`, `unknown-format`, `moved` or `undecryptable`."""

    def __init__(self, kind, why):
        super().__init__(f"{kind}: {why}")
        self.kind = kind


# ---------------------------------------------------------------------------------------------------------- the header

SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text):
    """A JSON string as JSON.stringify writes it (ECMA-262, QuoteJSONString): only `"`, `\\`, control characters and
    lone surrogates are escaped, by the short escapes where there are any, else in lower-case hex."""
    escape = lambda match: SHORT_ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04x}"
    return '"' + re.sub(r'["\\\x00-\x1f\ud800-\udfff]', escape, text) + '"'


def encode_header(header):
    line = f'{{"dek":{quote(header["dek"])},"bucket":{quote(header["bucket"])},"key":{quote(header["key"])}}}\n'
    encoded = MAGIC + line.encode("utf-8")
    if len(encoded) > MAX_HEADER:
        raise Refused("none", "the header would be longer than 8,192 bytes")
    return encoded


STRING = r'("(?:[^"\\]|\\.)*")'
LINE = re.compile(f'{{"dek":{STRING},"bucket":{STRING},"key":{STRING}}}\n')


def read_header(stream):
    """Reads the header off the stream and gives it with its bytes; the message comes next in the stream."""
    magic = stream.readline(32)
    if magic != MAGIC:
        if re.fullmatch(rb"bucketseal/(0|[1-9][0-9]{0,9})\n", magic):
            raise Refused("unknown-format", "the first line names another format")
        raise Refused("none", "the first line is not bucketseal/1")
    line = stream.readline(MAX_HEADER - len(MAGIC))
    try:
        match = LINE.fullmatch(line.decode("utf-8"))
        dek, bucket, key = (json.loads(text) for text in match.groups())
    except (ValueError, AttributeError):
        raise Refused("none", "the second line is not the three members") from None
    header = {"dek": dek, "bucket": bucket, "key": key}
    if encode_header(header) != magic + line:
        raise Refused("none", "the second line is not written in the one way allowed")
    return header, magic + line


# --------------------------------------------------------------------------------------------------------- the message


class Message:
    """What one message is sealed under."""

    def __init__(self, dek, salt, context):
        if len(dek) != KEY or len(salt) != SALT:
            raise ValueError("a data key has 32 bytes and a salt 24")
        okm = HKDFExpand(SHA512(), 32 + 12 + COMMITMENT, LABEL + salt + context).derive(dek)
        self.aead_key, self.base_nonce, self.commitment = okm[:32], okm[32:44], okm[44:]
        self.aead = AESGCM(self.aead_key)

    def nonce(self, index):
        if index >= MAX_CHUNKS:
            raise Refused("undecryptable", "more chunks than a message has")
        return (int.from_bytes(self.base_nonce, "big") ^ index).to_bytes(12, "big")

    def seal(self, index, chunk):
        return self.aead.encrypt(self.nonce(index), chunk, None)

    def open(self, index, sealed):
        try:
            return self.aead.decrypt(self.nonce(index), sealed, None)
        except InvalidTag:
            raise Refused("undecryptable", f"chunk {index}") from None


def read_exactly(stream, size):
    """`size` bytes, or all up to the end: a short read is not the end."""
    pieces = []
    while size > 0 and (piece := stream.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def seal_object(dek, salt, header, plaintext):
    """The pieces of a sealed object."""
    context = encode_header(header)
    message = Message(dek, salt, context)
    yield context + salt + message.commitment
    index, chunk = 0, read_exactly(plaintext, CHUNK)
    while len(chunk) == CHUNK:
        yield message.seal(index, chunk)
        index, chunk = index + 1, read_exactly(plaintext, CHUNK)
    yield message.seal(index, chunk)


def open_message(dek, context, stream):
    """The chunks of the plaintext, each verified; the end comes only after the final chunk was verified."""
    salt, commitment = read_exactly(stream, SALT), read_exactly(stream, COMMITMENT)
    if len(salt + commitment) < SALT + COMMITMENT:
        raise Refused("undecryptable", "cut off before the first chunk")
    message = Message(dek, salt, context)
    if not hmac.compare_digest(message.commitment, commitment):
        raise Refused("undecryptable", "another data key or header, or salt or commitment damaged")
    index, sealed = 0, read_exactly(stream, CHUNK + TAG)
    while len(sealed) == CHUNK + TAG:
        yield message.open(index, sealed)
        index, sealed = index + 1, read_exactly(stream, CHUNK + TAG)
    if len(sealed) < TAG:
        raise Refused("undecryptable", "cut off: the final chunk is missing")
    yield message.open(index, sealed)


# -------------------------------------------------------------------------------------------------------- the data key


def aad_bytes(aad):
    return ("[" + ",".join(quote(text) for text in aad) + "]").encode("utf-8") if aad else b""


def unwrap(root_key, envelope, aad):
    """The data key in a Key Protect envelope. Any fault is `undecryptable`."""
    try:
        fields = json.loads(base64.b64decode(envelope, validate=True))
        if fields["version"] != "4.0.0":
            raise ValueError("another version")
        iv, ciphertext = (base64.b64decode(fields[name], validate=True) for name in ("iv", "ciphertext"))
        if len(iv) != 12:
            raise ValueError("an IV of another size")
        return AESGCM(root_key).decrypt(iv, ciphertext, aad_bytes(aad))
    except (ValueError, TypeError, KeyError, RecursionError, InvalidTag):
        raise Refused("undecryptable", "another root key or AAD, or the envelope is damaged") from None


def open_field(master_key, field, path, version):
    """A secret field of a state document: 12-byte IV, AES-256-GCM ciphertext, tag."""
    name = hmac.new(master_key, b"bucketseal/master-key-id", hashlib.sha256).hexdigest()[:16]
    if field["masterKey"] != name:
        raise Refused("undecryptable", f"sealed under master key {field['masterKey']}, and this one is {name}")
    sealed = base64.b64decode(field["sealed"], validate=True)
    try:
        return AESGCM(master_key).decrypt(sealed[:12], sealed[12:], aad_bytes(["bucketseal/state", path, version]))
    except InvalidTag:
        raise Refused("undecryptable", "another path or version, or the field is damaged") from None


def wrap(root_key, dek, aad, iv, handle):
    text = lambda data: base64.b64encode(data).decode("ascii")
    fields = {"ciphertext": text(AESGCM(root_key).encrypt(iv, dek, aad_bytes(aad))), "iv": text(iv),
              "version": "4.0.0", "handle": handle}
    return text(json.dumps(fields, separators=(",", ":")).encode("utf-8"))


# -------------------------------------------------------------------------------------------------------- test vectors


def fill(label, size):
    """`size` fixed bytes: SHA-256(label ‖ counter) one after another, the counter in 4 bytes, big-endian, from 0 on."""
    blocks = (size + 31) // 32
    stream = b"".join(hashlib.sha256(label.encode() + n.to_bytes(4, "big")).digest() for n in range(blocks))
    return stream[:size]


def fixed_uuid(label):
    digits = fill(label, 16).hex()
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:]))


SIZES = (0, 1, 200, 16383, 16384, 16385, 32767, 32768, 100000, 262143, 262144, 262145, 5 * 2**20 + 1)

KEYS = {
    "plain": "reports/2026/march.csv",
    "space, plus, percent": "a b+c%20d%",
    "dots and slashes": "/..//./a/%2e%2e/b/",
    "emoji": "\U0001f980/\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
    "composed and decomposed": "\u00e9 e\u0301",
    "newline, tab, backspace, form feed, return": "a\nb\tc\bd\fe\rf",
    "NUL and other control characters": "\x00\x01\x0b\x1b\x1f",
    "DEL and C1, which are not escaped": "\x7f\x80\x9f",
    "quotes and backslashes": "\"quoted\" \\back\\\\slash\\n /",
    "line and paragraph separator": "a\u2028b\u2029c",
    "byte order mark and the last code points": "\ufeff\uffff\U0010ffff",
    "a lone surrogate": "a\ud800b\udfffc",
    "looks like a header": 'x"}\nbucketseal/1\n{"dek":"',
    "1,024 bytes of ASCII": "k" * 1024,
    "1,024 bytes of UTF-8": "\U0001f512" * 256,
    "1,024 control characters, the longest header": "\x01" * 1024,
    "empty": "",
}

SAMPLES = {"empty": 0, "hello": 5, "one-chunk-and-an-empty-one": 16384, "two-chunks": 20000}


def base64_text(data):
    return base64.b64encode(data).decode("ascii")


def sealed_bytes(dek, salt, header, plaintext):
    return b"".join(seal_object(dek, salt, header, io.BytesIO(plaintext)))


def valid_vector(name, key, size):
    """One valid vector. Its plaintext is `fill(name, size)`; bytes are given in full up to 200 bytes of plaintext."""
    dek, salt = fill(f"{name}/dek", KEY), fill(f"{name}/salt", SALT)
    header = {"dek": fixed_uuid(f"{name}/id"), "bucket": "vectors", "key": key}
    sealed, message = sealed_bytes(dek, salt, header, fill(name, size)), Message(dek, salt, encode_header(header))
    vector = {"name": name, "dek": dek.hex(), "salt": salt.hex(), "header": header, "size": size,
              "aeadKey": message.aead_key.hex(), "baseNonce": message.base_nonce.hex(),
              "sealedSize": len(sealed), "sealedSha256": hashlib.sha256(sealed).hexdigest()}
    return {**vector, "sealed": base64_text(sealed)} if size <= 200 and len(sealed) < 1000 else vector


ID, PLACE = fixed_uuid("invalid/id"), '"bucket":"vectors","key":"A/b"'
GOOD_LINE = f'{{"dek":"{ID}",{PLACE}}}'


def invalid_headers():
    """Name, reason, kind, and the header's bytes: each is followed by a message sealed under just these bytes."""
    one = lambda line: MAGIC + line.encode("utf-8") + b"\n"
    return (
        ("members in another order", "the order is dek, bucket, key", "none", one(f'{{{PLACE},"dek":"{ID}"}}')),
        ("a fourth member", "there are exactly three members", "none", one(GOOD_LINE[:-1] + ',"v":"1"}')),
        ("a missing member", "there are exactly three members", "none", one(f'{{"dek":"{ID}","bucket":"vectors"}}')),
        ("a member twice", "there are exactly three members", "none", one(GOOD_LINE[:-1] + ',"key":"A/b"}')),
        ("a space after a colon", "there is no white space", "none", one(GOOD_LINE.replace('":"', '": "', 1))),
        ("a space at the end of the line", "there is no white space", "none", one(GOOD_LINE + " ")),
        ("a number for a string", "members are strings", "none", one(GOOD_LINE.replace('"A/b"', "7"))),
        ("null for a string", "members are strings", "none", one(GOOD_LINE.replace('"A/b"', "null"))),
        ("an array", "the line is an object", "none", one(f'["{ID}","vectors","A/b"]')),
        ("CR LF after the first line", "a line ends in LF", "none", b"bucketseal/1\r\n" + GOOD_LINE.encode() + b"\n"),
        ("CR LF after the second line", "a line ends in LF", "none", one(GOOD_LINE + "\r")),
        ("a byte order mark first", "the first byte is b", "none", b"\xef\xbb\xbf" + one(GOOD_LINE)),
        ("a byte order mark in line two", "the line begins with {", "none", one("\ufeff" + GOOD_LINE)),
        ("invalid UTF-8", "the line is UTF-8", "none", one(GOOD_LINE).replace(b"A/b", b"A\xff")),
        ("overlong UTF-8", "the line is UTF-8", "none", one(GOOD_LINE).replace(b"A/b", b"A\xc0\xafb")),
        ("a surrogate in UTF-8", "the line is UTF-8", "none", one(GOOD_LINE).replace(b"A/b", b"\xed\xa0\x80")),
        ("an escaped slash", "a slash is not escaped", "none", one(GOOD_LINE.replace("A/b", "A\\/b"))),
        ("an escaped letter", "a letter is not escaped", "none", one(GOOD_LINE.replace("A/b", "\\u0041/b"))),
        ("an escape in upper case", "hex is in lower case", "none", one(GOOD_LINE.replace("A/b", "\\u001F"))),
        ("a long escape for a newline", "it has a short one", "none", one(GOOD_LINE.replace("A/b", "\\u000a"))),
        ("a raw control character", "it must be escaped", "none", one(GOOD_LINE.replace("A/b", "A\x01b"))),
        ("an escaped pair of surrogates", "a character is written as it is", "none",
         one(GOOD_LINE.replace("A/b", "\\ud83e\\udd80"))),
        ("format 01", "a format number has no leading zero", "none", b"bucketseal/01\n" + GOOD_LINE.encode() + b"\n"),
        ("format 1x", "a format number has digits only", "none", b"bucketseal/1x\n" + GOOD_LINE.encode() + b"\n"),
        ("upper case", "the magic is in lower case", "none", b"Bucketseal/1\n" + GOOD_LINE.encode() + b"\n"),
        ("format 2", "another format", "unknown-format", b"bucketseal/2\n" + GOOD_LINE.encode() + b"\n"),
        ("format 0", "another format", "unknown-format", b"bucketseal/0\n" + GOOD_LINE.encode() + b"\n"),
    )


def invalid_vectors():
    dek, salt, text = fill("invalid/dek", KEY), fill("invalid/salt", SALT), b"hello"
    vectors = []

    def add(name, reason, kind, sealed):
        vectors.append({"name": name, "reason": reason, "kind": kind, "dek": dek.hex(), "sealed": base64_text(sealed)})

    def under(context, key=dek):
        message = Message(key, salt, context)
        return salt + message.commitment + message.seal(0, text)

    for name, reason, kind, context in invalid_headers():
        add(name, reason, kind, context + under(context))
    good = encode_header({"dek": ID, "bucket": "vectors", "key": "A/b"})
    message = Message(dek, salt, good)
    start = good + salt + message.commitment

    def flipped(at):
        changed = bytearray(good + under(good))
        changed[at] ^= 1
        return bytes(changed)

    refuse = lambda name, reason, sealed: add(name, reason, "undecryptable", sealed)
    refuse("another data key", "the commitment does not fit", good + under(good, fill("invalid/other", KEY)))
    refuse("another object's header", "the header is the context", good.replace(b"A/b", b"A/c") + under(good))
    refuse("an empty context", "the header is the context", good + under(b""))
    refuse("a changed salt", "the commitment does not fit", flipped(len(good)))
    refuse("a changed commitment", "the commitment does not fit", flipped(len(start) - 1))
    refuse("a changed chunk", "the tag does not fit", flipped(len(start)))
    refuse("a changed tag", "the tag does not fit", flipped(-1))
    refuse("no message", "salt and commitment are missing", good)
    refuse("cut in the commitment", "the commitment is not whole", start[:-1])
    refuse("cut before the first chunk", "the final chunk is missing", start)
    refuse("cut in the tag", "less than a tag is left", start + message.seal(0, b"")[:15])
    refuse("one byte less", "the tag does not fit", (good + under(good))[:-1])
    refuse("one byte more", "the tag does not fit", good + under(good) + b"\0")
    refuse("chunk 1 first", "the chunk's number is in its nonce", start + message.seal(1, text))
    refuse("plaintext behind a copied start", "a start proves nothing about what follows", start + fill("forged", 100))
    return vectors


def wrapped_vectors():
    root_key, dek, iv = fill("wrapped/root key", 32), fill("wrapped/dek", KEY), fill("wrapped/iv", 12)
    handle, key_id = fixed_uuid("wrapped/handle"), fixed_uuid("wrapped/id")
    lists = {"none": [], "a data key's": ["bucketseal/1", key_id, "vectors"],
             "hostile": ["", '"\\\n\x01\x7f\u2028\U0001f980', "a,b"]}
    return [{"name": name, "rootKey": root_key.hex(), "aad": aad, "dek": dek.hex(),
             "envelope": wrap(root_key, dek, aad, iv, handle)} for name, aad in lists.items()]


def write_vectors(folder):
    """Writes `format-1.json` and `sealed/*.sealed`, always the same."""
    os.makedirs(os.path.join(folder, "sealed"), exist_ok=True)
    samples = []
    for name, size in SAMPLES.items():
        vector = valid_vector(f"sample {name}", f"samples/{name} \U0001f980", size)
        sealed = sealed_bytes(bytes.fromhex(vector["dek"]), bytes.fromhex(vector["salt"]), vector["header"],
                              fill(vector["name"], size))
        with open(os.path.join(folder, "sealed", f"{name}.sealed"), "wb") as file:
            file.write(sealed)
        samples.append({"file": f"sealed/{name}.sealed", **{k: v for k, v in vector.items() if k != "sealed"}})
    suite = {
        "about": "Vectors of the sealed object, format 1 (docs/format.md), made by test/interop/bucketseal_format.py. "
                 "Never to be changed. The plaintext of a valid one is `size` bytes of SHA-256(name ‖ counter), the "
                 "counter in 4 bytes, big-endian, from 0 on. Keys, salts and hashes are hex, other bytes base64.",
        "sizes": [valid_vector(f"size {size}", "a key", size) for size in SIZES],
        "names": [valid_vector(f"name: {name}", key, 1) for name, key in KEYS.items()],
        "invalid": invalid_vectors(),
        "wrapped": wrapped_vectors(),
        "samples": samples,
    }
    with open(os.path.join(folder, "format-1.json"), "w", encoding="ascii") as file:
        json.dump(suite, file, indent=1)
        file.write("\n")


# ----------------------------------------------------------------------------------------------------------- commands


def run_batch(requests, answers):
    """For tests: one JSON request a line, one JSON answer a line, bytes in base64."""
    for line in requests:
        request = json.loads(line)
        given = bytearray()
        try:
            if request["do"] == "seal":
                answer = {"sealed": base64_text(sealed_bytes(
                    bytes.fromhex(request["dek"]), bytes.fromhex(request["salt"]), request["header"],
                    base64.b64decode(request["plaintext"])))}
            elif request["do"] == "unwrap":
                dek = unwrap(bytes.fromhex(request["rootKey"]), request["envelope"], request["aad"])
                answer = {"plaintext": base64_text(dek)}
            else:
                stream = io.BytesIO(base64.b64decode(request["sealed"]))
                header, context = read_header(stream)
                for chunk in open_message(bytes.fromhex(request["dek"]), context, stream):
                    given += chunk
                answer = {"header": header, "plaintext": base64_text(given)}
        except Refused as refused:
            answer = {"refused": refused.kind, "plaintext": base64_text(given)}
        answers.write(json.dumps(answer) + "\n")


def run_open(options, source, sink):
    header, context = read_header(source)
    if not UUID.fullmatch(header["dek"]):
        raise Refused("undecryptable", "the data key's id is no UUID")
    for name in ("bucket", "key"):
        if getattr(options, name) not in (None, header[name]):
            raise Refused("moved", f"it was sealed for another {name}")
    print(json.dumps(header), file=sys.stderr, flush=True)
    for chunk in open_message(options.dek, context, source):
        sink.write(chunk)
    sink.flush()


def run_seal(options, source, sink):
    header = {"dek": options.id, "bucket": options.bucket, "key": options.key}
    for piece in seal_object(options.dek, options.salt or os.urandom(SALT), header, source):
        sink.write(piece)
    sink.flush()


def run_root_key(options, source):
    document = json.load(source)
    versions = document.get("value", document)["versions"]  # as it is stored, or the value alone; oldest first
    wanted = [v for v in versions if v["id"] == (options.version or versions[-1]["id"])]
    if not wanted:
        raise Refused("undecryptable", "the document has no such version")
    with open(options.master_key, encoding="ascii") as file:
        master_key = base64.b64decode(file.read().strip(), validate=True)
    print(open_field(master_key, wanted[0]["material"], options.path, wanted[0]["id"]).hex())


def hex_of(*sizes):
    def parse(text):
        if text.startswith("@"):
            with open(text[1:], encoding="ascii") as file:
                text = file.read().strip()
        if not re.fullmatch("([0-9a-fA-F]{2})+", text) or len(text) // 2 not in sizes:
            raise argparse.ArgumentTypeError(f"must be {' or '.join(map(str, sizes))} bytes in hex")
        return bytes.fromhex(text)

    return parse


def uuid(text):
    if not UUID.fullmatch(text):
        raise argparse.ArgumentTypeError("must be a UUID in lower case")
    return text


def utf8(text):
    try:
        text.encode("utf-8")  # an argument that is not UTF-8 arrives with lone surrogates in it
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("must be UTF-8") from None
    return text


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    opening = commands.add_parser("open", help="give the plaintext of a sealed object")
    opening.add_argument("--dek", type=hex_of(KEY), required=True)
    opening.add_argument("--bucket", type=utf8, help="refuse an object that was sealed for another bucket")
    opening.add_argument("--key", type=utf8, help="refuse an object that was sealed under another object key")
    opening.add_argument("file", nargs="?", help="default: stdin")
    sealing = commands.add_parser("seal", help="make a sealed object")
    sealing.add_argument("--dek", type=hex_of(KEY), required=True)
    sealing.add_argument("--salt", type=hex_of(SALT), help="for test vectors only; default: fresh random bytes")
    sealing.add_argument("--id", type=uuid, required=True, help="the data key's id")
    sealing.add_argument("--bucket", type=utf8, required=True)
    sealing.add_argument("--key", type=utf8, required=True)
    sealing.add_argument("file", nargs="?", help="default: stdin")
    unwrapping = commands.add_parser("unwrap", help="give the data key in a Key Protect envelope")
    unwrapping.add_argument("--root-key", type=hex_of(16, 24, 32), required=True)
    unwrapping.add_argument("--aad", type=utf8, action="append", default=[], help="once for each string, in order")
    unwrapping.add_argument("file", nargs="?", help="default: stdin")
    material = commands.add_parser("root-key", help="give a root key's material (embedded key service)")
    material.add_argument("--master-key", required=True, help="a file of one line: base64 of 32 bytes")
    material.add_argument("--path", required=True, help="the document's: root-keys/<instance>/<id>.json")
    material.add_argument("--version", help="a root key version, such as the envelope's handle; default: the newest")
    material.add_argument("file", nargs="?", help="default: stdin")
    commands.add_parser("vectors", help="write format-1.json and sealed/ into a folder").add_argument("folder")
    commands.add_parser("batch", help="for tests: JSON lines")
    return parser.parse_args()


def run(options):
    if options.command == "vectors":
        return write_vectors(options.folder)
    if options.command == "batch":
        return run_batch(sys.stdin, sys.stdout)
    with open(options.file, "rb") if options.file else sys.stdin.buffer as source:
        if options.command == "open":
            run_open(options, source, sys.stdout.buffer)
        elif options.command == "seal":
            run_seal(options, source, sys.stdout.buffer)
        elif options.command == "root-key":
            run_root_key(options, source)
        else:
            print(unwrap(options.root_key, source.read().strip(), options.aad).hex())


if __name__ == "__main__":
    try:
        run(parse_arguments())
    except (Refused, OSError) as error:
        sys.exit(f"bucketseal_format: {error}")
