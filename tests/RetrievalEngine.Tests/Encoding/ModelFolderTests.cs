using System;
using System.IO;
using NUnit.Framework;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Encoding;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Encoding;

[TestFixture]
internal sealed class ModelFolderTests
{
    private const string Config = """
        {"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":16,"intermediate_size":24,"num_hidden_layers":2,"num_attention_heads":2,"vocab_size":2048,
         "max_position_embeddings":64,"rms_norm_eps":1e-6,"initializer_range":0.3,"eos_token_id":0}
        """;

    private readonly PackedBatch _batch = PackedBatch.Pack([[1, 2, 3], [4], [5, 6, 7, 8, 9]]);
    private string _folder = "";

    [SetUp]
    public void MakeFolder() => _folder = Directory.CreateTempSubdirectory("model").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [Test]
    public void MergedModelComputesWhatBaseAndAdapterDo()
    {
        string source = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "gpt2"), merged = Path.Combine(_folder, "merged");
        using CpuBackend backend = new(2);
        using Arena arena = new(backend);
        Tokenizer tokenizer = Tokenizer.Load(source);
        using Transformer model = Transformer.CreateRandom(backend, ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config"), seed: 3);
        LoraWeights.Attach(backend, model, new AdapterConfig { R = 3, LoraAlpha = 6, TargetModules = ["q_proj", "down_proj"] }, seed: 4);
        float[] plain = Hidden(backend, model, arena);
        foreach (Parameter parameter in model.LoraParameters)
        {
            float[] values = new float[parameter.Value.Count];
            for (int i = 0; i < values.Length; i++) values[i] = MathF.Sin(i) * 0.1f;
            backend.Upload<float>(values, parameter.Value);
        }

        float[] adapted = Hidden(backend, model, arena);
        ModelFolder.Save(backend, model, source, Contract(appendEos: true, tokenizer), tokenizer, merged, DType.F32);
        using Transformer again = Transformer.Load(backend, merged);
        float[] loaded = Hidden(backend, again, arena);
        double difference = 0, moved = 0, norm = 0;
        for (int i = 0; i < adapted.Length; i++)
        {
            difference += Math.Pow(loaded[i] - adapted[i], 2);
            moved += Math.Pow(adapted[i] - plain[i], 2);
            norm += Math.Pow(adapted[i], 2);
        }

        Assert.That(Math.Sqrt(moved / norm), Is.GreaterThan(0.01), "the adapter does something");
        Assert.That(Math.Sqrt(difference / norm), Is.LessThan(1e-5));
        Assert.That(again.Config.Architecture, Is.EqualTo("LlamaModel"), "there is no language-model head in the folder");
    }

    [TestCase(true)]
    [TestCase(false)]
    public void FolderCarriesTheContractForItsOwnWeights(bool appendEos)
    {
        string source = Path.Combine(TestContext.CurrentContext.TestDirectory, "Data", "tokenizers", "gpt2"), written = Path.Combine(_folder, "written");
        using CpuBackend backend = new(1);
        Tokenizer tokenizer = Tokenizer.Load(source);
        using Transformer model = Transformer.CreateRandom(backend, ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(Config), "config"), seed: 3);
        ModelFolder.Save(backend, model, source, Contract(appendEos, tokenizer), tokenizer, written, DType.BF16);
        EncodingContract contract = EncodingContract.For(written);
        Assert.That((contract.QueryPrefix, contract.AppendEosToken, contract.PassageMaxLength), Is.EqualTo(("query: ", appendEos, 48)));
        Assert.That(contract.WeightsHash, Is.Not.EqualTo("stale"));
        // sentence-transformers cannot say that EOS is appended by id, so its files must not promise vectors that it would not compute.
        Assert.That(File.Exists(Path.Combine(written, "modules.json")), Is.EqualTo(!appendEos));
    }

    private static EncodingContract Contract(bool appendEos, Tokenizer tokenizer) => new()
    {
        QueryPrefix = "query: ",
        AddSpecialTokens = true,
        AppendEosToken = appendEos,
        EosTokenId = appendEos ? 0 : null,
        QueryMaxLength = 32,
        PassageMaxLength = 48,
        Pooling = Pooling.Last,
        Normalize = true,
        Dimensions = 16,
        TokenizerHash = tokenizer.Hash,
        WeightsHash = "stale",
    };

    private float[] Hidden(CpuBackend backend, Transformer model, Arena arena)
    {
        arena.Reset();
        return backend.ToArray(model.Forward(_batch, arena));
    }
}
