using System.IO;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli.Tests;

internal sealed class ModelCommandTests
{
    private const string Config = """
        {"model_type": "llama", "vocab_size": VOCAB, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
         "num_key_value_heads": 1, "hidden_act": "silu", "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true}
        """;

    private const string TokenizerJson = """
        {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
         "post_processor": null, "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
        """;

    [Test]
    public async Task Init_TheSameSeedGivesTheSameBytes()
    {
        string folder = Folder("init-same");
        Assert.That(await Init(folder, vocab: 10, "one", seed: 7), Is.Zero);
        Assert.That(await Init(folder, vocab: 10, "two", seed: 7), Is.Zero);
        Assert.That(await Init(folder, vocab: 10, "other", seed: 8), Is.Zero);
        byte[] Weights(string name) => File.ReadAllBytes(Path.Combine(folder, name, "model.safetensors"));
        Assert.Multiple(() =>
        {
            Assert.That(Weights("one"), Is.EqualTo(Weights("two")));
            Assert.That(Weights("one"), Is.Not.EqualTo(Weights("other")));
            Assert.That(File.ReadAllText(Path.Combine(folder, "one", "tokenizer.json")), Is.EqualTo(TokenizerJson));
        });
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.Load(backend, Path.Combine(folder, "one"));
        Assert.That((model.Depth, model.VocabSize), Is.EqualTo((2, 10)));
    }

    [Test]
    public async Task Init_VocabularyTooSmall_IsRefused()
    {
        string folder = Folder("init-small");
        Assert.That(await Init(folder, vocab: 2, "out", seed: 1), Is.EqualTo(ExitCodes.BadInput));
        Assert.That(Directory.Exists(Path.Combine(folder, "out")), Is.False);
    }

    [Test]
    public async Task Init_TakesATokenizerOfAnotherLayoutAlong()
    {
        string folder = Folder("init-vocabulary"), tokenizer = Path.Combine(folder, "tokenizer"), output = Path.Combine(folder, "out");
        File.WriteAllText(Path.Combine(folder, "config.json"), Config.Replace("VOCAB", "20"));
        File.WriteAllLines(Path.Combine(tokenizer, "vocab.txt"), ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##a", "##b"]);
        File.WriteAllText(Path.Combine(tokenizer, "tokenizer_config.json"), "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": true}");
        string[] init = ["model", "init", "--config", Path.Combine(folder, "config.json"), "--tokenizer", tokenizer, "--output", output];
        Assert.That(await Program.RunAsync(init, CancellationToken.None), Is.Zero);
        Assert.That(Tokenizer.Load(output).Encode("ab"), Is.EqualTo(Tokenizer.Load(tokenizer).Encode("ab")));
    }

    [Test]
    public async Task Tokenizer_LearnsFromTheCorpus_AndInitUsesIt()
    {
        string folder = Folder("init-tokenizer"), corpus = Path.Combine(folder, "corpus.jsonl"), output = Path.Combine(folder, "learned");
        File.WriteAllText(corpus, "{\"_id\": \"1\", \"title\": \"window\", \"text\": \"a window in a window\"}\n");
        Assert.That(await Program.RunAsync(["model", "tokenizer", "--corpus", corpus, "--vocab-size", "270", "--output", output], CancellationToken.None), Is.Zero);
        Tokenizer tokenizer = Tokenizer.Load(output);
        Assert.That(tokenizer.Special.EosId, Is.Zero);
        Assert.That(tokenizer.Encode("window"), Has.Length.EqualTo(1));
        Assert.That(await Program.RunAsync(["model", "tokenizer", "--corpus", corpus, "--output", output], CancellationToken.None), Is.EqualTo(ExitCodes.BadInput), "not overwritten");
    }

    private static Task<int> Init(string folder, int vocab, string output, int seed)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), Config.Replace("VOCAB", $"{vocab}"));
        File.WriteAllText(Path.Combine(folder, "tokenizer", "tokenizer.json"), TokenizerJson);
        return Program.RunAsync(
            ["model", "init", "--config", Path.Combine(folder, "config.json"), "--tokenizer", Path.Combine(folder, "tokenizer"), "--seed", $"{seed}", "--output", Path.Combine(folder, output)],
            CancellationToken.None);
    }

    private static string Folder(string name)
    {
        string folder = Path.Combine(TestContext.CurrentContext.WorkDirectory, name);
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(Path.Combine(folder, "tokenizer"));
        return folder;
    }
}
