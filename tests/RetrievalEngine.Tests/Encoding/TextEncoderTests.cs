using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.TestKit;

namespace RetrievalEngine.Tests.Encoding;

internal sealed class TextEncoderTests
{
    private static readonly string[] Texts = [.. Enumerable.Range(0, 40).Select(i => string.Concat(Enumerable.Repeat($"t{i} ", 1 + i * 7 % 11)))];

    private TempFolder _folder = null!;
    private CpuBackend _backend = null!;
    private string _decoder = null!;

    [SetUp]
    public void SetUp()
    {
        _folder = new TempFolder();
        _backend = new CpuBackend(2);
        _decoder = TinyModel.WriteDecoder(_folder.File("decoder"));
    }

    [TearDown]
    public void TearDown()
    {
        _backend.Dispose();
        _folder.Dispose();
    }

    [Test]
    public void Tokenize_CutsToOneLess_AndAppendsEos()
    {
        using TextEncoder encoder = Load(_decoder, new ContractOverrides { QueryMaxLength = 4, PassageMaxLength = 6 });
        TokenizedTexts texts = encoder.Tokenize(["abcdefgh", "abc", ""], EncodingSide.Query);
        Assert.That(texts.Sequences.Select(s => s.Length), Is.EqualTo(new[] { 4, 4, 1 }));
        Assert.That(texts.Sequences.Select(s => s[^1]), Is.All.EqualTo(TinyModel.Eos));
        Assert.That((texts.Truncated, texts.Empty, texts.Tokens), Is.EqualTo((1, 1, 9L)));
        Assert.That(encoder.Tokenize(["abcdefgh"], EncodingSide.Passage).Sequences[0], Has.Length.EqualTo(6));
    }

    [Test]
    public void Tokenize_TemplateOfTheTokenizer_SurvivesTruncation()
    {
        using TextEncoder encoder = Load(TinyModel.WriteEncoder(_folder.File("encoder")), new ContractOverrides { QueryMaxLength = 5 });
        TokenizedTexts texts = encoder.Tokenize(["a b c d e f", "a b c", ""], EncodingSide.Query);
        Assert.That(texts.Sequences.Select(s => (s[0], s[^1], s.Length)), Is.EqualTo(new[] { (2, 3, 5), (2, 3, 5), (2, 3, 2) }));
        Assert.That((texts.Truncated, texts.Empty), Is.EqualTo((1, 1)));
    }

    [Test]
    public void Tokenize_EmptyTextWithoutSpecialTokens_IsOneEos()
    {
        using TextEncoder encoder = Load(_decoder, new ContractOverrides { AppendEosToken = false });
        Assert.That(encoder.Tokenize([""], EncodingSide.Query).Sequences[0], Is.EqualTo(new[] { TinyModel.Eos }));
    }

    [Test]
    public void Tokenize_EmptyTextWithoutAnyToken_IsNamed()
    {
        string model = TinyModel.WriteEncoder(_folder.File("encoder"));
        using TextEncoder encoder = Load(model, new ContractOverrides { AddSpecialTokens = false });
        Assert.That(() => encoder.Tokenize(["a", ""], EncodingSide.Query, ["d1", "d2"]),
            Throws.TypeOf<InputException>().With.Message.StartsWith("text d2 has no token"));
    }

    [TestCase(Pooling.Last)]
    [TestCase(Pooling.Cls)]
    [TestCase(Pooling.Mean)]
    public void Encode_AnyBatch_GivesTheSameVectorsInOrder(Pooling pooling)
    {
        ContractOverrides overrides = new() { Pooling = pooling };
        using TextEncoder one = Load(_decoder, overrides, batchTokens: 1), some = Load(_decoder, overrides, batchTokens: 50),
            all = Load(_decoder, overrides);
        float[] expected = one.EncodeQueries(Texts);
        Assert.That(some.EncodeQueries(Texts), Is.EqualTo(expected));
        Assert.That(all.EncodeQueries(Texts), Is.EqualTo(expected));
        float[] third = one.EncodeQueries([Texts[3]]);
        Assert.That(expected.AsSpan(3 * 16, 16).ToArray(), Is.EqualTo(third));
        Assert.That(third.Sum(x => x * x), Is.EqualTo(1).Within(1e-5f));
    }

    [Test]
    public void Encode_Passages_AreTitleAndTextUnderTheirPrefix()
    {
        using TextEncoder plain = Load(_decoder, new ContractOverrides()), prefixed = Load(_decoder, new ContractOverrides { PassagePrefix = "p: " });
        Assert.That(prefixed.EncodePassages([new Document("d", "Title", " text ")]), Is.EqualTo(plain.EncodeQueries(["p: Title  text"])));
    }

    [Test]
    public void Encode_QueriesWithPromptsOfTheirOwn_DoWithoutThePrefixOfAll()
    {
        using TextEncoder plain = Load(_decoder, new ContractOverrides()), prefixed = Load(_decoder, new ContractOverrides { QueryPrefix = "q: " });
        Assert.That(prefixed.EncodeQueries([new Query("1", "text", "find: "), new Query("2", "text")]), Is.EqualTo(plain.EncodeQueries(["find: text", "q: text"])));
    }

    [Test]
    public void Encode_FewerDimensions_CutsBeforeItNormalises()
    {
        using TextEncoder whole = Load(_decoder, new ContractOverrides { Normalize = false }),
            cut = Load(_decoder, new ContractOverrides { Dimensions = 5 });
        float[] long_ = whole.EncodeQueries(["text"]), short_ = cut.EncodeQueries(["text"]);
        float norm = MathF.Sqrt(long_.Take(5).Sum(x => x * x));
        Assert.That(short_, Is.EqualTo(long_.Take(5).Select(x => x / norm)).Within(1e-6f));
    }

    [Test]
    public void Encode_FromSeveralThreads_GivesTheSame()
    {
        using TextEncoder encoder = Load(_decoder, new ContractOverrides(), batchTokens: 40);
        float[] expected = encoder.EncodeQueries(Texts);
        float[][] found = new float[6][];
        Parallel.For(0, found.Length, i => found[i] = encoder.EncodeQueries(Texts));
        Assert.That(found, Is.All.EqualTo(expected));
    }

    [Test]
    public void Encode_TextOfTenMegabytes_IsTruncated()
    {
        using TextEncoder encoder = Load(_decoder, new ContractOverrides());
        string text = string.Concat(Enumerable.Repeat("word ", 2_000_000));
        TokenizedTexts texts = encoder.Tokenize([text], EncodingSide.Passage);
        Assert.That((texts.Truncated, texts.Sequences[0].Length), Is.EqualTo((1, 64)));
    }

    [Test]
    public void Encode_Cancelled_Stops()
    {
        using TextEncoder encoder = Load(_decoder, new ContractOverrides());
        Assert.That(() => encoder.EncodeQueries(Texts, new CancellationToken(canceled: true)), Throws.InstanceOf<OperationCanceledException>());
    }

    [Test]
    public void Encode_GivesMemoryBack()
    {
        long live = DeviceMemory.LiveBlocks;
        using (TextEncoder encoder = Load(_decoder, new ContractOverrides())) encoder.EncodeQueries(Texts);
        Assert.That(DeviceMemory.LiveBlocks, Is.EqualTo(live));
    }

    private static IEnumerable<TestCaseData> Impossible()
    {
        yield return new TestCaseData(new ContractOverrides { QueryMaxLength = 65 }, "query_max_len is 65, but the model has 64 positions");
        yield return new TestCaseData(new ContractOverrides { Dimensions = 17 }, "vectors of 17 dimensions");
    }

    [TestCaseSource(nameof(Impossible))]
    public void Load_ContractThatCannotBeKept_IsRefused(ContractOverrides overrides, string expected) =>
        Assert.That(() => Load(_decoder, overrides), Throws.TypeOf<InputException>().With.Message.Contains(expected));

    [Test]
    public void Load_LengthBelowTheSpecialTokens_IsRefused()
    {
        string model = TinyModel.WriteEncoder(_folder.File("encoder"));
        Assert.That(() => Load(model, new ContractOverrides { PassageMaxLength = 1 }),
            Throws.TypeOf<InputException>().With.Message.Contains("the special tokens alone are 2"));
    }

    private TextEncoder Load(string model, ContractOverrides overrides, int batchTokens = TextEncoder.DefaultBatchTokens) =>
        TextEncoder.Load(_backend, model, null, EncodingContract.For(model, null, overrides), batchTokens);
}
