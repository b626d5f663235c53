// Writes components.jsonl: variants of the small tokenizers beside it that together use every component and flag, and what the reference library
// makes of a few hard texts with each. One line a variant: name, base (a folder here), patch (JSON merge patch on its tokenizer.json), cases.
//
// Usage: npm install tokenizers@0.23.2 && node make_components.js > components.jsonl
// (0.23 decodes an added token with "normalized" to its normalised text, 0.22 to its own: such texts are left out of "decoded".)
const { Tokenizer } = require("tokenizers");
const fs = require("fs");
const path = require("path");

const variants = [];
function variant(name, base, change) {
  const original = JSON.parse(fs.readFileSync(path.join(__dirname, base, "tokenizer.json")));
  const changed = structuredClone(original);
  change(changed);
  variants.push({ name, base, changed, patch: difference(original, changed) });
}

function difference(a, b) {
  const patch = {};
  for (const key of Object.keys(a)) if (!(key in b)) patch[key] = null;
  for (const [key, value] of Object.entries(b)) {
    const plain = (x) => x !== null && typeof x === "object" && !Array.isArray(x);
    if (JSON.stringify(a[key]) === JSON.stringify(value)) continue;
    patch[key] = plain(value) && plain(a[key]) && key !== "normalizer" && !("type" in value && value.type !== a[key].type) ? difference(a[key], value) : value;
  }
  return patch;
}

const added = (content, flags = {}) =>
  ({ id: 0, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: false, ...flags });
const flagged = [added("<mask>", { lstrip: true, special: true }), added("<r>", { rstrip: true }), added("dense", { single_word: true }),
  added("QUERY", { single_word: true, normalized: true }), added("<lr>", { lstrip: true, rstrip: true, normalized: true }), added("the ret"),
  added("naïve", { normalized: true }), added("😀"), added("ab"), added("abc")];
function add(json, tokens) {
  let next = Object.keys(json.model.vocab).length;
  for (const token of tokens) json.added_tokens.push({ ...token, id: token.content in json.model.vocab ? json.model.vocab[token.content] : next++ });
}

for (const base of ["gpt2", "bert-uncased", "llama2", "qwen2", "gpt2-prefix-space", "bert-cased"]) variant(`added-${base}`, base, (j) => add(j, flagged));
for (const form of ["NFC", "NFD", "NFKC", "NFKD"]) {
  variant(`bytes-${form}`, "gpt2", (j) => { j.normalizer = { type: form }; });
  variant(`wordpiece-${form}`, "bert-uncased", (j) => {
    j.normalizer = { type: "Sequence", normalizers: [{ type: form }, { type: "StripAccents" }, { type: "Lowercase" },
      { type: "Strip", strip_left: true, strip_right: form === "NFC" }] };
  });
}
variant("prepend-replace", "qwen2", (j) => {
  j.normalizer = { type: "Sequence", normalizers: [{ type: "Lowercase" }, { type: "Prepend", prepend: "▁x" },
    { type: "Replace", pattern: { String: "'" }, content: "’" }, { type: "Replace", pattern: { Regex: "\\s{2,}" }, content: " " }] };
});
variant("replace-regex", "bert-cased", (j) => {
  j.normalizer = { type: "Sequence", normalizers: [{ type: "Replace", pattern: { Regex: "[a-e]+" }, content: "zz" },
    { type: "Replace", pattern: { Regex: "\\d+(?!\\d)" }, content: "" }, { type: "Replace", pattern: { Regex: "(?=s)" }, content: "-" }] };
});
for (const behavior of ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]) {
  for (const invert of [false, true]) {
    variant(`split-${behavior}-${invert}`, "bert-uncased", (j) => {
      j.pre_tokenizer = { type: "Split", pattern: { Regex: "\\s+|[\\p{P}\\p{S}]|\\d{2}" }, behavior, invert };
    });
  }
  variant(`split-string-${behavior}`, "bert-uncased", (j) => { j.pre_tokenizer = { type: "Split", pattern: { String: " " }, behavior, invert: false }; });
  variant(`punctuation-${behavior}`, "bert-uncased", (j) => {
    j.pre_tokenizer = { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, { type: "Punctuation", behavior },
      { type: "Digits", individual_digits: behavior === "Removed" }] };
  });
}
variant("whitespace", "bert-cased", (j) => { j.pre_tokenizer = { type: "Whitespace" }; });
const bytes = (pattern, behavior, invert) => ({ type: "Sequence", pretokenizers: [{ type: "Split", pattern: { Regex: pattern }, behavior, invert },
  { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false }] });
const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
variant("cl100k", "gpt2", (j) => {
  j.pre_tokenizer = bytes(contractions + "|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
    "Isolated", false);
});
variant("o200k", "gpt2", (j) => {
  j.pre_tokenizer = bytes("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" + contractions
    + "?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*" + contractions
    + "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", "Removed", true);
});
variant("words", "bert-cased", (j) => { j.pre_tokenizer = { type: "Split", pattern: { Regex: "\\w+|[^\\w\\s]+" }, behavior: "Isolated", invert: false }; });
variant("digits-bytes", "gpt2", (j) => {
  j.pre_tokenizer = { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true },
    { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true }] };
});
variant("bytes-no-regex", "gpt2", (j) => {
  j.pre_tokenizer = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  j.model.ignore_merges = true;
});
for (const scheme of ["always", "first", "never"]) {
  for (const split of [true, false]) {
    variant(`metaspace-${scheme}-${split}`, "llama2", (j) => {
      j.normalizer = split ? null : { type: "NFKC" };
      j.pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split };
      j.decoder = { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split };
      add(j, flagged.filter((t) => !t.normalized).slice(0, 4));
    });
  }
}
variant("unknown-fused", "llama2", (j) => { j.model.byte_fallback = false; j.model.fuse_unk = true; });
variant("unknown-apart", "llama2", (j) => { j.model.byte_fallback = false; j.model.fuse_unk = false; });
variant("unknown-vanishes", "llama2", (j) => { j.model.byte_fallback = false; j.model.unk_token = null; });
variant("fallback-in-part", "llama2", (j) => {
  for (let b = 0xa0; b < 0xc0; b++) {
    const token = `<0x${b.toString(16).toUpperCase()}>`;
    j.model.vocab[`QQQ${b}`] = j.model.vocab[token];
    delete j.model.vocab[token];
  }
});
variant("affixes", "bert-uncased", (j) => {
  const model = { type: "BPE", dropout: null, unk_token: "[U]", continuing_subword_prefix: "##", end_of_word_suffix: "</w>", fuse_unk: true,
    byte_fallback: false, vocab: {}, merges: [] };
  for (const token of Object.keys(j.model.vocab)) delete j.model.vocab[token];
  let next = 0;
  const token = (t) => { if (!(t in model.vocab)) model.vocab[t] = next++; };
  token("[U]");
  for (const c of "abcdefghijklmnopqrstuvwxyz") [c, `##${c}`, `##${c}</w>`, `${c}</w>`].forEach(token);
  for (const [a, b] of [["t", "##h"], ["th", "##e</w>"], ["##e", "##t"], ["r", "##et"], ["##r", "##i"], ["##ri", "##e"], ["d", "##e"], ["##s", "##e</w>"]]) {
    model.merges.push([a, b]);
    token(a + b.slice(2));
  }
  j.model = model;
  j.added_tokens = [];
  j.post_processor = null;
  j.decoder = null;
});
for (const [base, prefix] of [["gpt2-prefix-space", true], ["gpt2", false]]) {
  variant(`roberta-${base}`, base, (j) => {
    j.post_processor = { type: "RobertaProcessing", sep: ["</s>", 5], cls: ["<s>", 6], trim_offsets: true, add_prefix_space: prefix };
  });
}
variant("bert-processing", "bert-uncased", (j) => { j.post_processor = { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] }; });
variant("bert-strips", "bert-cased", (j) => {
  j.normalizer = { type: "BertNormalizer", clean_text: false, handle_chinese_chars: false, strip_accents: true, lowercase: false };
});
variant("bert-keeps-accents", "bert-uncased", (j) => {
  j.normalizer = { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, strip_accents: false, lowercase: true };
});
variant("short-words", "bert-uncased", (j) => { j.model.max_input_chars_per_word = 7; });
variant("one-word", "bert-uncased", (j) => { j.pre_tokenizer = null; j.normalizer = null; j.model.max_input_chars_per_word = 100000; });
variant("template", "bert-uncased", (j) => {
  j.decoder = { type: "WordPiece", prefix: "##", cleanup: false };
  j.post_processor = { type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "X", type_id: 2 } }, { Sequence: { id: "A", type_id: 1 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "B", type_id: 3 } }, { SpecialToken: { id: "X", type_id: 2 } }, { Sequence: { id: "A", type_id: 1 } }],
    special_tokens: { X: { id: "X", ids: [3, 4], tokens: ["[SEP]", "[MASK]"] } } };
});

// A character map of SentencePiece: a double-array trie over UTF-8 (unit: label, leaf flag, offset) and zero-terminated replacements.
function characterMap(entries) {
  const root = { children: new Map() };
  let replacements = Buffer.alloc(0);
  for (const [key, value] of Object.entries(entries)) {
    let node = root;
    for (const byte of Buffer.from(key)) {
      if (!node.children.has(byte)) node.children.set(byte, { children: new Map() });
      node = node.children.get(byte);
    }
    node.value = replacements.length;
    replacements = Buffer.concat([replacements, Buffer.from(value + "\0")]);
  }
  const units = new Array(4096).fill(0), used = new Set([0]);
  const place = (node, at) => {
    const labels = [...node.children.keys()], places = (base) => [...(node.value === undefined ? [] : [base]), ...labels.map((l) => base ^ l)];
    let base = 1;
    while (places(base).some((p) => used.has(p))) base++;
    for (const p of places(base)) used.add(p);
    units[at] |= (at ^ base) << 10;
    if (node.value !== undefined) {
      units[at] |= 1 << 8;
      units[base] = (node.value | 0x80000000) >>> 0;
    }
    for (const [label, child] of node.children) {
      units[base ^ label] = label;
      place(child, base ^ label);
    }
  };
  place(root, 0);
  const trie = Buffer.alloc(4 + 4 * units.length);
  trie.writeUInt32LE(4 * units.length);
  units.forEach((unit, i) => trie.writeUInt32LE(unit >>> 0, 4 + 4 * i));
  return Buffer.concat([trie, replacements]).toString("base64");
}
// Of "x" and "x + cedilla" the shorter key counts; replacements longer, shorter and empty.
const charsmap = characterMap({ "ﬁ": "fi", "e\u0301": "é", "①": "1", "½": "1⁄2", "\u00a0": " ", "\t": " ", "\n": " ", "\r": " ", "\u200b": "", "\u0001": "", "İ": "i\u0307",
  "\uff21": "A", "x": "y", "x\u0327": "z", "\u0327\u0301": "?", "😀": ":)", "\u3000": " ", "\u{1d400}": "A", "\u{2f800}": "丽", "\ufffd": " " });
const pieces = ["<pad>", "</s>", "<unk>", "▁", "▁the", "the", "re", "tri", "ev", "al", "▁de", "n", "se", "▁don", "'", "t", "a", "ab", "abc", "y", "yy", "1", "2", "12", "⁄",
  "é", "日本", "語", "fi", "А", "A", "i", "\u0307", "e", "r", "s", "d", "S", "тек", "ст", "😀😀", "xx", "▁▁"];
const unigram = (extra = []) => ({ type: "Unigram", unk_id: 2, byte_fallback: extra.length > 0,
  vocab: [...pieces, ...extra].map((piece, i) => [piece, i < 3 ? 0 : -1 - ((i * 37) % 64) / 8]) });
const byteTokens = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
variant("unigram-small", "t5", (j) => { j.model = unigram(); });
variant("unigram-bytes", "t5", (j) => {
  j.model = unigram(byteTokens);
  j.decoder = { type: "Sequence", decoders: [{ type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "ByteFallback" }, { type: "Fuse" }] };
});
variant("unigram-bytes-in-part", "t5", (j) => { j.model = unigram(byteTokens.slice(0, 0xc4)); });
variant("unigram-one-piece", "xlm-roberta", (j) => { j.model = unigram(); j.pre_tokenizer = null; j.normalizer = null; add(j, []); });
for (const scheme of ["always", "first", "never"]) {
  variant(`precompiled-${scheme}`, "t5", (j) => {
    j.model = unigram();
    j.normalizer = scheme === "first" ? { type: "Sequence", normalizers: [{ type: "Precompiled", precompiled_charsmap: charsmap },
      { type: "Strip", strip_left: false, strip_right: true }, { type: "Replace", pattern: { Regex: " {2,}" }, content: "▁" }] }
      : { type: "Precompiled", precompiled_charsmap: charsmap };
    const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: true };
    j.pre_tokenizer = scheme === "always" ? { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] } : metaspace;
  });
}
variant("nmt", "bert-uncased", (j) => { j.normalizer = { type: "Sequence", normalizers: [{ type: "Nmt" }, { type: "Lowercase" }] }; });
variant("bytes-normalizer", "gpt2", (j) => {
  j.normalizer = { type: "Sequence", normalizers: [{ type: "NFC" }, { type: "ByteLevel" }] };
  j.pre_tokenizer = { type: "Split", pattern: { Regex: "Ġ?[^Ġ]+" }, behavior: "Isolated", invert: false };
});
variant("delimiter", "bert-uncased", (j) => { j.pre_tokenizer = { type: "Sequence", pretokenizers: [{ type: "CharDelimiterSplit", delimiter: " " }, { type: "Punctuation" }] }; });
variant("bpe-decoder", "bert-uncased", (j) => { j.decoder = { type: "BPEDecoder", suffix: "e" }; });

let state = 1;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const below = (n) => Math.floor(random() * n);
const pick = (a) => a[below(a.length)];
const words = ("the retrieval Dense dense QUERY don't we'll I'M it's 'S x86 3.14159 2024-01-02 12345 naïve café Straße İstanbul ΑΣ ǅ λόγος текст 日本語 "
  + "한국어 हिन्दी العربية ½ ① Ⅳ ﬁ abcd ab").split(" ");
const rest = ["\u0301", "\u0327", "\u0323", "\u0307", "\u05b0", "\u3099", "\u1161", "\u11a8", "\u0338", "\u20dd", "\u{1d165}", " ", " ", " ", "  ", "\n",
  "\r\n", "\t", "\u00a0", "\u3000", "   ", "\n\n", "\u200b", "😀", "👩‍👩‍👧", "🥰", "\u{1d400}", "\u{20000}", "\u{2f800}", "\u00ad", "\u0001", "\ufffd",
  "ſ", "'ſ", "\u212b", "\uff21", "ｶﾞ", "각", "▁", "##", "Ġ", "…", "“", "。", "，", "<", ">", "|", "[", "]", "#", "_", "€", "xxxxxxxxxxxxxxxxxxxxxxxxxx"];
function text(tokens) {
  let result = "";
  for (let n = 2 + below(14); n > 0; n--) {
    const kind = random();
    let word = kind < 0.4 ? pick(words) : kind < 0.85 || tokens.length === 0 ? pick(rest) : pick(tokens);
    if (kind < 0.06) word = word.toUpperCase();
    else if (kind < 0.1) word = word.normalize("NFD");
    result += word + (random() < 0.3 ? " " : "");
  }
  return result;
}

async function main() {
  for (const { name, base, changed, patch } of variants) {
    const tokenizer = Tokenizer.fromString(JSON.stringify(changed));
    const normalized = changed.added_tokens.some((t) => t.normalized);
    const cases = [];
    for (let i = 0; i < 6; i++) {
      const a = text(changed.added_tokens.map((t) => t.content)), b = text([]);
      const single = await tokenizer.encode(a), plain = await tokenizer.encode(a, null, { addSpecialTokens: false }), pair = await tokenizer.encode(a, b);
      cases.push({ text: a, second: b, ids: single.getIds(), ids_plain: plain.getIds(), offsets: plain.getOffsets(),
        decoded: normalized ? null : await tokenizer.decode(plain.getIds(), false), pair_ids: pair.getIds(), pair_type_ids: pair.getTypeIds() });
    }
    console.log(JSON.stringify({ name, base, patch, cases }));
  }
}
main();
