using System;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Text;

internal sealed class TokenizerTests
{
    /// <summary>Those with a pre-tokeniser are read in stretches; the others are normalised as a whole.</summary>
    private static readonly string[] _readInStretches = ["gpt2", "gpt2-prefix-space", "llama3", "qwen2", "bert-cased", "bert-uncased", "t5", "xlm-roberta"];
    private static readonly string[] _kinds = [.. _readInStretches, "llama2", "gemma"];

    private static Tokenizer Load(string name) => Tokenizer.Load(Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", name));

    /// <summary>Ordinary text with accents, added tokens, line breaks and astral characters, some 30,000 characters of it.</summary>
    private static string LongText()
    {
        string[] words =
        [
            "the", "retrieval", "café", "Straße", "don't", "日本語", "12345", "😀", "<|endoftext|>", "[SEP]", "<s>", "a\u0327\u0301", "x-y,z", "\n\n",
            "\u00a0", "",
        ];
        Random random = new(3);
        StringBuilder text = new();
        while (text.Length < 30_000) text.Append(words[random.Next(words.Length)]).Append(random.Next(8) == 0 ? "\n" : " ");
        return text.ToString();
    }

    [TestCaseSource(nameof(_kinds))]
    public void Encode_WithMaxTokens_GivesTheFirstOnes(string name)
    {
        Tokenizer tokenizer = Load(name);
        string text = LongText();
        int[] all = tokenizer.Encode(text, addSpecialTokens: false);
        TokenizedText tracked = tokenizer.EncodeWithOffsets(text, addSpecialTokens: false);
        Assert.That(tracked.Ids, Is.EqualTo(all));
        foreach (int most in (int[])[0, 1, 2, 17, 500, 3000, all.Length, all.Length + 1])
        {
            Assert.That(tokenizer.Encode(text, addSpecialTokens: false, most), Is.EqualTo(all.Take(most)), $"{most}");
            TokenizedText cut = tokenizer.EncodeWithOffsets(text, addSpecialTokens: false, most);
            Assert.That(cut.Offsets, Is.EqualTo(tracked.Offsets.Take(most)), $"{most}");
            Assert.That(cut.Tokens, Is.EqualTo(tracked.Tokens.Take(most)), $"{most}");
            Assert.That(tokenizer.Encode(text, addSpecialTokens: false, most, TruncationSide.Left), Is.EqualTo(all.TakeLast(most)), $"{most}");
            TokenizedText rest = tokenizer.EncodeWithOffsets(text, addSpecialTokens: false, most, TruncationSide.Left);
            Assert.That(rest.Ids, Is.EqualTo(all.TakeLast(most)), $"{most}");
            Assert.That(rest.Tokens, Is.EqualTo(tracked.Tokens.TakeLast(most)), $"{most}");
            // Offsets are trimmed after the cut: a first token may keep the space in front of it.
            Assert.That(rest.Offsets.Skip(1), Is.EqualTo(tracked.Offsets.TakeLast(most).Skip(1)), $"{most}");
        }
    }

    [TestCase("bert-uncased")]
    [TestCase("llama2")]
    public void Encode_WithMaxTokens_KeepsSpecialTokens(string name)
    {
        Tokenizer tokenizer = Load(name);
        int[] all = tokenizer.Encode(LongText()), cut = tokenizer.Encode(LongText(), maxTokens: 10);
        int[] least = tokenizer.Encode("a b", maxTokens: tokenizer.SpecialTokenCount);
        Assert.That(cut, Has.Length.EqualTo(10));
        Assert.That(cut[0], Is.EqualTo(all[0]));
        if (name == "bert-uncased") Assert.That(cut[^1], Is.EqualTo(all[^1]));
        Assert.That(least, Is.EqualTo(tokenizer.Encode("")));
        Assert.That(() => tokenizer.Encode("a", maxTokens: tokenizer.SpecialTokenCount - 1), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    // 3 special tokens; n of "a b c …" are n tokens. The rule is the reference's longest_first.
    [TestCase(10, 10, 13, 5, 5)]
    [TestCase(2, 10, 13, 2, 8)]
    [TestCase(10, 2, 13, 8, 2)]
    [TestCase(10, 10, 14, 5, 6)]
    [TestCase(4, 4, 100, 4, 4)]
    [TestCase(0, 9, 8, 0, 5)]
    public void EncodePair_WithMaxTokens_CutsTheLongerOneFirst(int first, int second, int most, int expectedFirst, int expectedSecond)
    {
        Tokenizer tokenizer = Load("bert-uncased");
        TokenizedText pair = tokenizer.EncodePair(Letters(first), Letters(second), maxTokens: most);
        Assert.That(pair.Ids, Has.Length.EqualTo(expectedFirst + expectedSecond + 3));
        Assert.That(pair.TypeIds.Sum(), Is.EqualTo(expectedSecond + 1));
    }

    [TestCase(PairTruncation.OnlyFirst, 4, 9, 11, 0, 8)]
    [TestCase(PairTruncation.OnlyFirst, 9, 4, 11, 4, 4)]
    [TestCase(PairTruncation.OnlySecond, 4, 9, 11, 4, 4)]
    [TestCase(PairTruncation.OnlySecond, 9, 4, 11, 8, 0)]
    [TestCase(PairTruncation.OnlySecond, 4, 4, 11, 4, 4)]
    public void EncodePair_WithMaxTokens_CutsTheTextNamed(PairTruncation truncation, int first, int second, int most, int expectedFirst, int expectedSecond)
    {
        foreach (TruncationSide side in (TruncationSide[])[TruncationSide.Right, TruncationSide.Left])
        {
            Tokenizer tokenizer = Load("bert-uncased");
            TokenizedText pair = tokenizer.EncodePair(Letters(first), Letters(second), maxTokens: most, side: side, truncation: truncation);
            Assert.That(pair.Ids, Has.Length.EqualTo(expectedFirst + expectedSecond + 3));
            Assert.That(pair.TypeIds.Sum(), Is.EqualTo(expectedSecond + 1));
            string kept = side == TruncationSide.Right ? Letters(expectedFirst) : string.Join(' ', Letters(first).Split(' ').TakeLast(expectedFirst));
            Assert.That(string.Join(' ', pair.Tokens[1..(1 + expectedFirst)]), Is.EqualTo(kept));
        }
    }

    [Test]
    public void Buffer_OfTheLastTokens_HoldsFew([Values] bool track)
    {
        TokenBuffer buffer = new();
        buffer.Reset(track, last: 10);
        int most = 0;
        for (int i = 0; i < 100_000; i++)
        {
            if (track) buffer.Add(i, $"{i}", (i, i + 1));
            else buffer.Add(i);
            most = Math.Max(most, buffer.Count);
        }

        buffer.Truncate(10, TruncationSide.Left);
        Assert.That(buffer.Ids.ToArray(), Is.EqualTo(Enumerable.Range(99_990, 10)));
        Assert.That(most, Is.LessThan(20_000));
        if (!track) return;
        Assert.That(buffer.Tokens, Is.EqualTo(Enumerable.Range(99_990, 10).Select(i => $"{i}")));
        Assert.That(buffer.Offsets, Is.EqualTo(Enumerable.Range(99_990, 10).Select(i => (i, i + 1))));
    }

    [TestCaseSource(nameof(_readInStretches))]
    public void Encode_TextWithoutEnd_ReadsNoFurtherThanNeeded(string name)
    {
        Tokenizer tokenizer = Load(name);
        string text = string.Concat(Enumerable.Repeat("what is dense retrieval? ", 400_000));
        tokenizer.Encode(text, maxTokens: 512);
        long before = GC.GetAllocatedBytesForCurrentThread();
        int[] ids = tokenizer.Encode(text, maxTokens: 512);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(1_000_000), "a 10 MB text is not copied");
        Assert.That(ids, Has.Length.EqualTo(512));
    }

    /// <summary>Marks that vanish must not hide that a stretch's end lies inside white space; pieces may hold spaces.</summary>
    [TestCase("""{"type": "Punctuation", "behavior": "Isolated"}""", "ab ")]
    [TestCase("""{"type": "Split", "pattern": {"Regex": "b+"}, "behavior": "Isolated", "invert": false}""", "ab ")]
    [TestCase("""{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}""", "a \u0301  b \u0301 ")]
    [TestCase("""{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}""", "ab\u0301  ")]
    public void Encode_LongText_IsSplitAsAWhole(string preTokenizer, string unit)
    {
        string json = $$"""
            {"normalizer": {"type": "StripAccents"}, "pre_tokenizer": {{preTokenizer}},
             "model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100000,
                       "vocab": {"?": 0, "Ġ": 1, "ĠĠ": 2, "a": 3, "Ġa": 4, "Ġb": 5, "Ġab": 6, "ab": 7} } }
            """;
        Tokenizer tokenizer = TokenizerFiles.Parse(System.Text.Encoding.UTF8.GetBytes(json), "test", _ => new(null, null, null, null, null, null, null, null, null));
        int Tokens(int units) => tokenizer.Encode(string.Concat(Enumerable.Repeat(unit, units))).Length;
        Assert.That(Tokens(5000), Is.EqualTo(Tokens(20) + (4980 * (Tokens(21) - Tokens(20)))));
    }

    [TestCaseSource(nameof(_kinds))]
    public void Encode_FromManyThreads_IsTheSame(string name)
    {
        Tokenizer tokenizer = Load(name);
        string[] texts = [.. LongText().Split('\n').Where(t => t.Length > 0)];
        int[][] expected = [.. texts.Select(t => tokenizer.Encode(t))];
        Tokenizer shared = Load(name);
        Parallel.For(0, texts.Length * 4, i => Assert.That(shared.Encode(texts[i % texts.Length]), Is.EqualTo(expected[i % texts.Length])));
    }

    [TestCaseSource(nameof(_kinds))]
    public void Encode_LoneSurrogate_CountsAsReplacementCharacter(string name)
    {
        Tokenizer tokenizer = Load(name);
        foreach (string text in (string[])["\ud800", "a\udc00b", "\ud83d😀\udc00", "x \ud800\ud800 y\udfff"])
        {
            string replaced = string.Concat(text.EnumerateRunes());
            Assert.That(tokenizer.EncodeWithOffsets(text).Ids, Is.EqualTo(tokenizer.Encode(replaced)));
            Assert.That(tokenizer.EncodeWithOffsets(text).Offsets, Is.EqualTo(tokenizer.EncodeWithOffsets(replaced).Offsets));
        }
    }

    [Test]
    public void Load_SpecialTokens_ComeFromTheFilesBeside()
    {
        using TempFolder folder = new();
        string source = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "bert-uncased", "tokenizer.json");
        File.Copy(source, folder.File("tokenizer.json"));
        Assert.That(Tokenizer.Load(folder.Path).Special, Is.EqualTo(new SpecialTokens(null, null, null, null, null, null, null, null, null)));
        folder.Write("tokenizer_config.json", """
            {"cls_token": "[CLS]", "sep_token": {"content": "[SEP]", "lstrip": false}, "bos_token": null, "model_max_length": 512,
            "add_eos_token": true}
            """);
        folder.Write("special_tokens_map.json", """{"pad_token": "[PAD]", "cls_token": "[PAD]", "unk_token": "no such token"}""");
        Tokenizer tokenizer = Tokenizer.Load(folder.Path);
        Assert.That(tokenizer.Special, Is.EqualTo(new SpecialTokens(null, null, 0, 2, 3, null, 512, null, true)));
        folder.Write("tokenizer_config.json", """{"model_max_length": 1000000000000000019884624838656}""");
        Assert.That(Tokenizer.Load(folder.Path).Special.ModelMaxLength, Is.Null);
        Assert.That(Tokenizer.Load(folder.Path).Hash, Is.EqualTo(tokenizer.Hash), "only what decides the ids counts");
        Assert.That(tokenizer.Hash, Is.EqualTo(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(source)))));
        Assert.That(tokenizer.IdLimit, Is.EqualTo(1241));
    }

    [TestCase("\"type\": \"NFC\"", "\"type\": \"Other\"", "normalizer.type", "names the normalizer \"Other\"")]
    [TestCase("\"Split\"", "\"UnicodeScripts\"", "pre_tokenizer.pretokenizers[0].type", "names the pre-tokenizer \"UnicodeScripts\"")]
    [TestCase("\"type\": \"BPE\"", "\"type\": \"WordLevel\"", "model.type", "names the tokenizer model \"WordLevel\"")]
    [TestCase("\"post_processor\": null", "\"post_processor\": {\"type\": \"X\"}", "post_processor.type", "names the post-processor \"X\"")]
    [TestCase("\"decoder\": {", "\"decoder\": {\"type\": \"CTC\"}, \"x\": {", "decoder.type", "names the decoder \"CTC\"")]
    [TestCase("\\\\p{N}", "\\\\p{Han}", "pre_tokenizer.pretokenizers[0].pattern.Regex", "uses the property \"\\p{Han}\"")]
    [TestCase("\"dropout\": null", "\"dropout\": 0.1", "model.dropout", "asks for random tokenization")]
    public void Load_WhatIsUnknown_IsRefusedByName(string old, string changed, string field, string message)
    {
        using TempFolder folder = new();
        string json = File.ReadAllText(Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "qwen2", "tokenizer.json"));
        Assert.That(json, Does.Contain(old));
        string path = folder.Write("tokenizer.json", json.Replace(old, changed));
        string expected = $"{path}: field \"{field}\" {message}, which is not supported";
        Assert.That(() => Tokenizer.Load(folder.Path), Throws.InstanceOf<InputException>().With.Message.EqualTo(expected));
    }

    private static string Letters(int count) => string.Join(' ', Enumerable.Range(0, count).Select(i => (char)('a' + i)));
}
