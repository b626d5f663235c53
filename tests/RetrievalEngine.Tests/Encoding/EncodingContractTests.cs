using System.Collections.Generic;
using System.IO;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;

namespace RetrievalEngine.Tests.Encoding;

internal sealed class EncodingContractTests
{
    private static IEnumerable<TestCaseData> OtherContracts()
    {
        EncodingContract c = Contracts.Some();
        yield return new TestCaseData(c with { WeightsHash = "w1" }, "base weights hash is w0 in the index but w1 in the model");
        yield return new TestCaseData(c with { AdapterHash = null }, "adapter hash is a0 in the index but none in the model");
        yield return new TestCaseData(c with { TokenizerHash = "t1" }, "tokenizer hash is t0 in the index but t1 in the model");
        yield return new TestCaseData(c with { Pooling = Pooling.Mean }, "pooling is last in the index but mean in the model");
        yield return new TestCaseData(c with { Normalize = false }, "normalisation is on in the index but off in the model");
        yield return new TestCaseData(c with { Dimensions = 3 }, "dimensions is 4 in the index but 3 in the model");
        yield return new TestCaseData(c with { Similarity = Similarity.Dot }, "similarity is cosine in the index but dot in the model");
        yield return new TestCaseData(c with { AddSpecialTokens = false }, "add_special_tokens is on in the index but off in the model");
        yield return new TestCaseData(c with { AppendEosToken = false }, "append_eos_token is on in the index but off in the model");
        yield return new TestCaseData(c with { EosTokenId = 3 }, "eos_token_id is 2 in the index but 3 in the model");
        yield return new TestCaseData(c with { QueryPrefix = "query:" }, "query prefix is \"query: \" in the index but \"query:\" in the model");
        yield return new TestCaseData(c with { PassagePrefix = "" }, "passage prefix is \"passage: \" in the index but \"\" in the model");
        yield return new TestCaseData(c with { QueryMaxLength = 31 }, "query_max_len is 32 in the index but 31 in the model");
        yield return new TestCaseData(c with { PassageMaxLength = 129 }, "passage_max_len is 128 in the index but 129 in the model");
        yield return new TestCaseData(c with { TitleJoiner = "\n" }, "title joiner is \" \" in the index but \"\n\" in the model");
        yield return new TestCaseData(c with { Strip = false }, "strip rule is on in the index but off in the model");
    }

    [TestCaseSource(nameof(OtherContracts))]
    public void Mismatch_AnyField_IsNamed(EncodingContract other, string expected) =>
        Assert.That(Contracts.Some().Mismatch(other, "the index", "the model"), Is.EqualTo(expected));

    [Test]
    public void Mismatch_SameOrOtherTemperature_IsNone() =>
        Assert.That(Contracts.Some().Mismatch(Contracts.Some() with { Temperature = 1 }, "a", "b"), Is.Null);

    [TestCaseSource(nameof(OtherContracts))]
    public void SaveLoad_GivesTheSame(EncodingContract contract, string _)
    {
        using TempFolder folder = new();
        contract.Save(folder.Path);
        Assert.That(EncodingContract.Load(folder.File(EncodingContract.FileName)), Is.EqualTo(contract));
    }

    [TestCase("Title", " text ", "passage: Title  text")]
    [TestCase("", "text\n", "passage: text")]
    [TestCase(null, " text", "passage: text")]
    [TestCase("Title", "", "passage: Title")]
    public void FormatPassage_JoinsAndStrips(string? title, string text, string expected) =>
        Assert.That(Contracts.Some().FormatPassage(title, text), Is.EqualTo(expected));

    [Test]
    public void FormatPassage_WithoutStrip_KeepsEveryCharacter() =>
        Assert.That((Contracts.Some() with { Strip = false }).FormatPassage("", "text "), Is.EqualTo("passage:  text "));

    [Test]
    public void FormatQuery_AddsThePrefixAlone() => Assert.That(Contracts.Some().FormatQuery(" q "), Is.EqualTo("query:  q "));

    [Test]
    public void Load_DamagedFile_IsRefusedInASentence()
    {
        using TempFolder folder = new();
        Contracts.Some().Save(folder.Path);
        string path = folder.File(EncodingContract.FileName);
        Fuzz.Run(File.ReadAllBytes(path), bytes =>
        {
            File.WriteAllBytes(path, bytes);
            EncodingContract.Load(path);
        });
    }

    [Test]
    public void Load_NewerVersion_SaysSo()
    {
        using TempFolder folder = new();
        Contracts.Some().Save(folder.Path);
        string path = folder.File(EncodingContract.FileName);
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"version\": 1", "\"version\": 2", System.StringComparison.Ordinal));
        Assert.That(() => EncodingContract.Load(path),
            Throws.TypeOf<InputException>().With.Message.Contains("version\" is 2, but this program knows 1"));
    }
}
