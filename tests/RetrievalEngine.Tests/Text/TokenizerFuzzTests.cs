using System;
using System.IO;
using System.Linq;
using System.Text;
using NUnit.Framework;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Text;

internal sealed class TokenizerFuzzTests
{
    private static readonly string[] _kinds = ["gpt2", "gpt2-prefix-space", "llama2", "llama3", "qwen2", "gemma", "bert-cased", "bert-uncased", "t5", "xlm-roberta"];
    private static readonly SpecialTokens _none = new(null, null, null, null, null, null, null, null, null);

    private static byte[] Bytes(string name) =>
        File.ReadAllBytes(Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", name, "tokenizer.json"));

    private static Tokenizer Parse(byte[] bytes) => TokenizerFiles.Parse(bytes, "tokenizer.json", _ => _none);

    [TestCaseSource(nameof(_kinds))]
    public void Parse_DamagedFile_IsRefusedOrWorks(string name) => Fuzz.Run(Bytes(name), Use, rounds: 60);

    /// <summary>The vocabulary is most of the file; without it, damage hits the components.</summary>
    [TestCaseSource(nameof(_kinds))]
    public void Parse_DamagedComponents_AreRefusedOrWork(string name)
    {
        string json = System.Text.Encoding.UTF8.GetString(Bytes(name));
        int vocabulary = json.IndexOf("\"vocab\"", StringComparison.Ordinal);
        string model = name is "t5" or "xlm-roberta" ? """ "vocab": [["<unk>", 0.0], ["a", -1], ["b", -2.5], ["ab", -3e0], ["▁", -1], ["</s>", 0]]}}"""
            : name.StartsWith("bert", StringComparison.Ordinal)
            ? """ "vocab": {"[UNK]": 0, "a": 1, "##b": 2, "[CLS]": 3, "[SEP]": 4}}}"""
            : """ "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "Ġ": 4, "▁": 5}, "merges": [["a", "b"]]}}""";
        Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(string.Concat(json.AsSpan(0, vocabulary), model)), Use, rounds: 600);
    }

    [TestCaseSource(nameof(_kinds))]
    public void Encode_AnyText_HasOffsetsInRangeAndComesBack(string name)
    {
        Tokenizer tokenizer = Parse(Bytes(name));
        Random random = new(7);
        for (int round = 0; round < 600; round++)
        {
            string text = RandomText(random, random.Next(60));
            TokenizedText tokens = tokenizer.EncodeWithOffsets(text, addSpecialTokens: false);
            int codePoints = text.EnumerateRunes().Count();
            Assert.That(tokens.Offsets, Is.All.Matches<(int Start, int End)>(o => o.Start >= 0 && o.Start <= o.End && o.End <= codePoints), text);
            Assert.That(tokens.Ids, Is.All.InRange(0, tokenizer.IdLimit - 1));
            Assert.That(tokenizer.Encode(text, addSpecialTokens: false), Is.EqualTo(tokens.Ids));
            if (name is not ("gpt2" or "llama3" or "qwen2" or "gemma")) continue;
            string expected = string.Concat(text.EnumerateRunes());
            if (name == "qwen2") expected = Nfc(expected);
            Assert.That(tokenizer.Decode(tokens.Ids), Is.EqualTo(name == "gemma" ? expected.Replace('▁', ' ') : expected), $"round {round}");
        }
    }

    private static void Use(byte[] bytes)
    {
        Tokenizer tokenizer = Parse(bytes);
        TokenizedText tokens = tokenizer.EncodeWithOffsets("Hello wörld 😀 12 <s> [SEP]ab");
        tokenizer.Decode(tokens.Ids);
        tokenizer.EncodePair("ab a", "b");
    }

    private static string Nfc(string text)
    {
        NormalizedText normalized = new();
        normalized.Reset(text, 0, track: false);
        UnicodeFormNormalizer.Apply(normalized, UnicodeTables.Traits.Nfc);
        return normalized.Text.ToString();
    }

    private static string RandomText(Random random, int length)
    {
        StringBuilder text = new();
        for (int i = 0; i < length; i++)
        {
            _ = random.Next(8) switch
            {
                0 => text.Append((char)random.Next(0x20, 0x7F)),
                1 => text.Append((char)random.Next(0x10000)),
                2 => text.Append((char)random.Next(0x300, 0x370)),
                3 => text.Append(new Rune(random.Next(0x10000, 0x110000)).ToString()),
                4 => text.Append(" \n\r\t\u00a0\u3000'"[random.Next(7)]),
                5 => text.Append((char)random.Next(0xAC00, 0xD7A4)).Append((char)random.Next(0x1100, 0x1200)),
                6 => text.Append(new string((char)random.Next('a', 'f'), random.Next(1, 12))),
                _ => text.Append("retrieval "),
            };
        }

        return text.ToString();
    }
}
