using System.Collections.Generic;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Text;

/// <summary>Every id, offset and decoded text of the reference library.</summary>
internal sealed class TokenizerGoldenTests
{
    private static readonly string[] _small = ["gpt2", "gpt2-prefix-space", "llama2", "llama3", "qwen2", "gemma", "bert-cased", "bert-uncased", "t5", "xlm-roberta"];
    private static readonly string[] _real = ["gpt2", "llama2", "llama3", "qwen2", "bert-base-uncased", "t5"];

    [TestCaseSource(nameof(_small))]
    public void Verify_CommittedTokenizer_EveryIdAndOffsetAgrees(string name) =>
        Check(Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", name));

    [TestCaseSource(nameof(_small))]
    public void Verify_SmallTokenizer_EveryIdAndOffsetAgrees(string name) => Check(SharedFolder.Require($"goldens/tokenizers/small/{name}"));

    [TestCaseSource(nameof(_real))]
    public void Verify_PublishedTokenizer_EveryIdAndOffsetAgrees(string name) => Check(SharedFolder.Require($"goldens/tokenizers/real/{name}"));

    [Test]
    public void Verify_ChangedExpectation_Fails()
    {
        using TempFolder folder = new();
        string source = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "gpt2");
        File.Copy(Path.Combine(source, "tokenizer.json"), folder.File("tokenizer.json"));
        folder.Write("cases.jsonl", """{"text": "a", "ids": [1], "ids_plain": [1, 1], "offsets": [[0, 2]], "decoded": "b"}""");
        folder.Write("pairs.jsonl", """{"a": "a", "b": "a", "ids": [1], "type_ids": [0, 0]}""");
        List<VerificationItem> items = [.. TokenizerVerifier.Verify(folder.Path)];
        Assert.That(items.Where(i => i.Outcome == VerificationOutcome.Failed).Select(i => i.Measure), Is.EqualTo(new[]
        {
            "ids", "ids without special tokens", "offsets", "decoded text", "ids of pairs", "type ids of pairs",
        }));
    }

    [Test]
    public void Verify_UnknownModel_IsSkippedWithTheReason()
    {
        using TempFolder folder = new();
        folder.Write("tokenizer.json", """{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}""");
        folder.Write("cases.jsonl", "");
        VerificationItem item = TokenizerVerifier.Verify(folder.Path).Single();
        Assert.That(item.Outcome, Is.EqualTo(VerificationOutcome.Skipped));
        Assert.That(item.Note, Does.Contain("\"WordLevel\", which is not supported"));
    }

    private static void Check(string folder)
    {
        List<VerificationItem> items = [.. TokenizerVerifier.Verify(folder)];
        Assert.That(items.Where(i => i.Outcome != VerificationOutcome.Ok).Select(i => $"{i.Measure}: {i.Error}, {i.Note}"), Is.Empty);
        Assert.That(items, Has.Count.EqualTo(6));
        Assert.That(Path.GetFileName(items[0].Item), Is.EqualTo("tokenizer.json"));
    }
}
