using System;
using System.IO;
using System.Linq;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Data;
using RetrievalEngine.Encoding;
using RetrievalEngine.Evaluation;
using RetrievalEngine.Models;
using RetrievalEngine.Reranking;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;
using RetrievalEngine.Training;

namespace RetrievalEngine.Tests.Reranking;

/// <summary>What a reranker is given: the templates of the presets token by token, truncation, and that scores do not depend on the company of a pair.</summary>
[TestFixture]
internal sealed class CrossEncoderTests
{
    private const string Query = "what is dense retrieval?", Title = "Two-stage  ranking", Text = " Retrieve, then rerank. ";
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void RankLlama2023_EachTextHasItsBosAndItsLength()
    {
        Tokenizer tokenizer = Llama();
        int[] query = tokenizer.Encode("query: " + Query, addSpecialTokens: false), document = tokenizer.Encode($"document: {Title} {Text}", addSpecialTokens: false);
        Assert.That(Tokenize("rankllama-2023", Text).Ids, Is.EqualTo((int[])[1, .. query, 1, .. document]));
        string longText = string.Concat(Enumerable.Repeat("many words ", 500)), longQuery = string.Concat(Enumerable.Repeat("why ", 100));
        int[] cut = Tokenize("rankllama-2023", longText, longQuery).Ids;
        Assert.That(cut, Has.Length.EqualTo(33 + 162));
        Assert.That(cut.Take(33), Is.EqualTo((int[])[1, .. tokenizer.Encode("query: " + longQuery, addSpecialTokens: false, 32)]));
        Assert.That(cut.Skip(33), Is.EqualTo((int[])[1, .. tokenizer.Encode($"document: {Title} {longText}", addSpecialTokens: false, 161)]));
    }

    [Test]
    public void RankLlama2024_IsOneStringWithDoubledSpaces()
    {
        Tokenizer tokenizer = Llama();
        Assert.That(Tokenize("rankllama-2024", Text).Ids, Is.EqualTo((int[])[1, .. tokenizer.Encode($"query:  {Query} document:  Two stage  ranking {Text}".Trim(), addSpecialTokens: false)]));
        Assert.That(Tokenize("rankllama-2024", string.Concat(Enumerable.Repeat("many words ", 500))).Ids, Has.Length.EqualTo(196));
    }

    [TestCase("repllama-2023-nobos", new int[0], "query: ", "passage: ", 30, 194)]
    [TestCase("repllama-hf", new[] { 1 }, "query: ", "passage: ", 31, 195)]
    [TestCase("tevatron-101", new[] { 1 }, "Query: ", "Passage: ", 32, 156)]
    [TestCase("mteb-two-space", new[] { 1 }, "query:  ", "passage:  ", 512, 512)]
    public void RepLlama_PrefixBosAndEos(string preset, int[] bos, string queryPrefix, string passagePrefix, int queryLength, int passageLength)
    {
        Tokenizer tokenizer = Llama();
        using CpuBackend backend = new(1);
        EncodingContract contract = EncodingContract.RulesFor(_folder.Path, overrides: Presets.Find(preset).Contract);
        using Transformer model = Transformer.Load(backend, _folder.Path);
        using TextEncoder encoder = TextEncoder.Create(backend, tokenizer, model, contract);
        int[] query = encoder.Tokenize([contract.FormatQuery(Query)], EncodingSide.Query).Sequences[0];
        string longText = string.Concat(Enumerable.Repeat("many words ", 500));
        Assert.Multiple(() =>
        {
            Assert.That(query, Is.EqualTo((int[])[.. bos, .. tokenizer.Encode(queryPrefix + Query, addSpecialTokens: false), 2]));
            Assert.That(contract.FormatPassage("T", "text "), Is.EqualTo(passagePrefix + (preset == "tevatron-101" ? "T text" : "T text ")));
            Assert.That(encoder.Tokenize([longText], EncodingSide.Query).Sequences[0], Has.Length.EqualTo(queryLength).And.ItemAt(queryLength - 1).EqualTo(2));
            Assert.That(encoder.Tokenize([longText], EncodingSide.Passage).Sequences[0], Has.Length.EqualTo(passageLength).And.ItemAt(passageLength - 1).EqualTo(2));
            Assert.That((contract.Pooling, contract.Normalize, contract.Temperature), Is.EqualTo((Pooling.Last, true, 0.01f)));
        });
    }

    [Test]
    public void BertPair_HasSegmentsAndCutsTheLongerText()
    {
        TinyModel.WriteEncoder(_folder.Path);
        using CpuBackend backend = new(1);
        using CrossEncoder encoder = Create(backend, new RerankOverrides { MaxLength = 12 }, out Transformer model);
        using (model)
        {
            TokenizedPairs pairs = encoder.Tokenize("ab", [new Document("d", "c", "def"), new Document("e", "", "abcdefghijkl")]);
            // [CLS] a ##b [SEP] c def… [SEP]: letters are tokens.
            Assert.That(pairs.Pairs[0].TypeIds, Is.EqualTo(new[] { 0, 0, 0, 0, 1, 1, 1, 1, 1 }));
            Assert.That(pairs.Pairs[1].Ids, Has.Length.EqualTo(12));
            Assert.That(pairs.Pairs[1].Ids.Take(4), Is.EqualTo(pairs.Pairs[0].Ids.Take(4)), "the query is whole");
            Assert.That((pairs.Truncated, pairs.Tokens), Is.EqualTo((1, 21L)));
        }
    }

    [Test]
    public void Scores_AreTheSameAloneAndTogether([Values(true, false)] bool decoder, [Values(1, 50, 4096)] int batchTokens)
    {
        if (decoder) TinyModel.WriteDecoder(_folder.Path);
        else TinyModel.WriteEncoder(_folder.Path);
        using CpuBackend backend = new(2);
        using CrossEncoder encoder = Create(backend, new RerankOverrides(), out Transformer model, batchTokens);
        using (model)
        {
            Document[] documents = [.. Enumerable.Range(0, 9).Select(i => new Document($"{i}", "t", new string((char)('a' + i), 1 + i) + " and more"))];
            float[] together = encoder.Score("the query", documents);
            Assert.That(documents.Select(d => encoder.Score("the query", [d])[0]), Is.EqualTo(together));
            Assert.That(together.Distinct().Count(), Is.EqualTo(documents.Length));
            Assert.That(encoder.Score("the query", []), Is.Empty);
        }
    }

    [Test]
    public void AContractOfOtherWeights_IsRefused()
    {
        TinyModel.WriteEncoder(_folder.Path);
        RerankContract contract = RerankContractResolver.For(_folder.Path, null, new RerankOverrides());
        (contract with { WeightsHash = "other" }).Save(_folder.Path);
        Assert.That(() => RerankContractResolver.For(_folder.Path, null, new RerankOverrides()), Throws.InstanceOf<InputException>().With.Message.Contains("another base model"));
        contract.Save(_folder.Path);
        Assert.That(RerankContractResolver.For(_folder.Path, null, new RerankOverrides()), Is.EqualTo(contract));
        File.WriteAllText(_folder.File(RerankContract.FileName), "{\"version\": 2}");
        Assert.That(() => RerankContract.Load(_folder.File(RerankContract.FileName)), Throws.InstanceOf<InputException>().With.Message.Contains("version"));
    }

    [Test]
    public void ADamagedContractOrJournal_IsRefusedOrDropped()
    {
        new RerankContract { Layout = PairLayout.Joined, QueryPrefix = "q: ", MaxLength = 40, EosTokenId = 2, AppendEosToken = true }.Save(_folder.Path);
        string contract = _folder.File(RerankContract.FileName), journal = _folder.File("journal");
        Fuzz.Run(File.ReadAllBytes(contract), bytes =>
        {
            File.WriteAllBytes(contract, bytes);
            RerankContract.Load(contract);
        });
        using (RerankJournal written = RerankJournal.Open(journal, "this"))
        {
            written.Add("q1", [new ScoredDocument("d1", 1.5f), new ScoredDocument("d\"2", -2)]);
            written.Add("q2", []);
        }

        byte[] whole = File.ReadAllBytes(journal);
        Random random = new(1);
        for (int round = 0; round < 300; round++)
        {
            byte[] damaged = [.. whole[..random.Next(whole.Length + 1)]];
            if (damaged.Length > 0) damaged[random.Next(damaged.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(journal, damaged);
            using RerankJournal read = RerankJournal.Open(journal, "this");
            Assert.That(read.Count, Is.InRange(0, 2));
        }

        File.WriteAllBytes(journal, whole);
        using RerankJournal same = RerankJournal.Open(journal, "this");
        Assert.That(same.TryGet("q1", out ScoredDocument[] documents), Is.True);
        Assert.That(documents, Is.EqualTo(new[] { new ScoredDocument("d1", 1.5), new ScoredDocument("d\"2", -2) }));
    }

    private CrossEncoder Create(CpuBackend backend, RerankOverrides overrides, out Transformer model, int batchTokens = 4096)
    {
        model = Transformer.LoadReranker(backend, _folder.Path, seed: 1);
        return CrossEncoder.Create(backend, Tokenizer.Load(_folder.Path), model, RerankContractResolver.For(_folder.Path, null, overrides), batchTokens);
    }

    private TokenPair Tokenize(string preset, string text, string query = Query)
    {
        using CpuBackend backend = new(1);
        using CrossEncoder encoder = Create(backend, Presets.Find(preset).Rerank, out Transformer model);
        using (model) return encoder.Tokenize(query, [new Document("d", Title, text)]).Pairs[0];
    }

    /// <summary>A tiny Llama with the real tokenizer of Llama 2.</summary>
    private Tokenizer Llama()
    {
        ModelConfig config = ModelConfig.Parse("""
            {"model_type": "llama", "vocab_size": 32000, "hidden_size": 4, "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 512,
             "bos_token_id": 1, "eos_token_id": 2}
            """u8, "config.json");
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.CreateRandom(backend, config, seed: 1);
        CheckpointWriter.Write(_folder.Path, config.ToJson(DType.F32), [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, DType.F32))]);
        File.Copy(Path.Combine(SharedFolder.Require("goldens/tokenizers/real/llama2"), "tokenizer.json"), _folder.File("tokenizer.json"));
        return Tokenizer.Load(_folder.Path);
    }
}
