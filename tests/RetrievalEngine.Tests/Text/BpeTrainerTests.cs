using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using NUnit.Framework;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Text;

internal sealed class BpeTrainerTests
{
    private static readonly SpecialTokens _none = new(null, null, null, null, null, null, null, null, null);

    private static string[] Texts()
    {
        string path = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "gpt2", "cases.jsonl");
        return [.. File.ReadLines(path).Select(static line => JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()!)];
    }

    [TestCase(BpeSplit.Gpt2)]
    [TestCase(BpeSplit.Qwen2)]
    public void Train_MergesAreThoseOfCountingAnewEachTime(BpeSplit split)
    {
        string[] texts = [.. Texts(), "aaaaaaa aaa aaaa", "abcabcabc ababab"];
        byte[] file = BpeTrainer.Train(texts, 256 + 2 + 150, ["<a>", "<b>"], split);
        JsonElement model = JsonDocument.Parse(file).RootElement.GetProperty("model");
        string[] merges = [.. model.GetProperty("merges").EnumerateArray().Select(m => $"{m[0]} {m[1]}")];
        Assert.That(merges, Is.EqualTo(NaiveMerges(texts, 150, split)));
        Assert.That(BpeTrainer.Train(texts, 256 + 2 + 150, ["<a>", "<b>"], split), Is.EqualTo(file), "the same texts give the same bytes");
    }

    [TestCase(BpeSplit.Gpt2)]
    [TestCase(BpeSplit.Qwen2)]
    public void Train_Result_IsATokenizer(BpeSplit split)
    {
        Tokenizer tokenizer = TokenizerFiles.Parse(BpeTrainer.Train(Texts(), 500, ["<|endoftext|>"], split), "trained", _ => _none);
        Assert.That(tokenizer.IdLimit, Is.EqualTo(500));
        Assert.That(tokenizer.TokenToId("<|endoftext|>"), Is.Zero);
        foreach (string text in Texts().Where(t => !t.Contains('\u0301') && !t.Contains('\u212b')))
        {
            int[] ids = tokenizer.Encode(text);
            if (split == BpeSplit.Gpt2) Assert.That(tokenizer.Decode(ids), Is.EqualTo(text));
            Assert.That(ids, Has.Length.LessThanOrEqualTo(System.Text.Encoding.UTF8.GetByteCount(text)));
        }

        Assert.That(tokenizer.Encode("a<|endoftext|>"), Does.Contain(0));
    }

    [Test]
    public void Train_TooFewPairs_GivesFewerTokens()
    {
        Tokenizer tokenizer = TokenizerFiles.Parse(BpeTrainer.Train(["ab ab"], 1000, []), "trained", _ => _none);
        Assert.That(tokenizer.IdLimit, Is.EqualTo(258), "ab, then Ġab");
    }

    [Test]
    public void Train_BadArguments_AreRefused()
    {
        Assert.That(() => BpeTrainer.Train([], 256, ["<a>"]), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => BpeTrainer.Train([], 300, ["<a>", "<a>"]), Throws.ArgumentException);
        Assert.That(() => BpeTrainer.Train([], 300, ["a"]), Throws.ArgumentException);
    }

    /// <summary>The definition, word by word: count all pairs, merge the most frequent, of equals that with the smaller ids.</summary>
    private static List<string> NaiveMerges(string[] texts, int count, BpeSplit split)
    {
        List<string> vocabulary = ["<a>", "<b>", .. ByteAlphabet.Characters.Order().Select(c => c.ToString())];
        List<List<int>> words = [];
        foreach (string text in texts)
        {
            NormalizedText normalized = new();
            normalized.Reset(text, 0, track: false);
            if (split == BpeSplit.Qwen2) UnicodeFormNormalizer.Apply(normalized, UnicodeTables.Traits.Nfc);
            List<TextPiece> pieces = [];
            (split == BpeSplit.Gpt2 ? GptPattern.Gpt2 : GptPattern.Qwen2).Split(normalized.Text, 0, pieces);
            foreach (TextPiece piece in pieces)
            {
                byte[] bytes = System.Text.Encoding.UTF8.GetBytes(normalized.Text[piece.Start..piece.End].ToString());
                words.Add([.. bytes.Select(b => vocabulary.IndexOf(ByteAlphabet.Characters[b].ToString()))]);
            }
        }

        List<string> merges = [];
        for (; count > 0; count--)
        {
            (int Left, int Right) best = words.SelectMany(w => w.Zip(w.Skip(1))).CountBy(p => p)
                .OrderByDescending(p => p.Value).ThenBy(p => p.Key.First).ThenBy(p => p.Key.Second).First().Key;
            merges.Add($"{vocabulary[best.Left]} {vocabulary[best.Right]}");
            vocabulary.Add(vocabulary[best.Left] + vocabulary[best.Right]);
            foreach (List<int> word in words)
            {
                for (int i = 0; i + 1 < word.Count; i++)
                {
                    if ((word[i], word[i + 1]) != best) continue;
                    word[i] = vocabulary.Count - 1;
                    word.RemoveAt(i + 1);
                }
            }
        }

        return merges;
    }
}
