using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Text;

/// <summary>
/// Expected ids that other projects publish, for the vocabularies that are there. Left out, since the vocabulary or the model kind is missing:
/// Falcon, StarCoder, MPT, Refact, RoBERTa, DeepSeek, Command-R, Gemma, Whisper, cased and multilingual BERT, CodeGen, GPT-4 and GPT-4o
/// (vocabularies).
/// </summary>
internal sealed class PublishedVectorTests
{
    private const string Separator = "\n__ggml_vocab_test__\n";

    private static readonly Dictionary<string, Tokenizer> _loaded = [];

    [TestCase("gpt-2", "gpt2")]
    [TestCase("llama-bpe", "llama3")]
    [TestCase("llama-spm", "llama2")]
    [TestCase("phi-3", "llama2")]
    [TestCase("qwen2", "qwen2")]
    [TestCase("deepseek-r1-qwen", "qwen2")]
    [TestCase("bert-bge", "bert-base-uncased")]
    public void LlamaCpp(string file, string name)
    {
        string folder = SharedFolder.Require("data/tokenizers/llama.cpp-vocab-tests");
        string[] texts = File.ReadAllText(Path.Combine(folder, "ggml-vocab-common.gguf.inp")).Split(Separator);
        string[] expected = File.ReadAllLines(Path.Combine(folder, $"ggml-vocab-{file}.gguf.out"));
        int count = Math.Min(texts.Length, expected.Length);
        Assert.That(count, Is.GreaterThanOrEqualTo(45));
        Assert.Multiple(() =>
        {
            for (int i = 0; i < count; i++)
            {
                string ids = string.Join(' ', Load(name).Encode(texts[i], addSpecialTokens: false));
                Assert.That(ids, Is.EqualTo(expected[i].Trim()), $"text {i}: {texts[i]}");
            }
        });
    }

    [TestCase("Xenova/bert-base-uncased", "bert-base-uncased", true)]
    [TestCase("Xenova/gpt2", "gpt2", true)]
    [TestCase("Xenova/llama-tokenizer", "llama2", true)]
    [TestCase("Xenova/llama3-tokenizer", "llama3", false)]
    [TestCase("Xenova/llama3-tokenizer-new", "llama3", true)]
    [TestCase("Xenova/Qwen1.5-0.5B-Chat", "qwen2", true)]
    [TestCase("Xenova/t5-small", "t5", true)]
    public void TransformersJs(string model, string name, bool special)
    {
        JsonElement cases = Read("transformers.js-vectors/tokenization_cases.json").GetProperty(model).GetProperty("cases");
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in cases.EnumerateArray())
            {
                string text = row.GetProperty("text").GetString()!;
                int[] ids = row.TryGetProperty("text_pair", out JsonElement pair) && pair.ValueKind == JsonValueKind.String
                    ? Load(name).EncodePair(text, pair.GetString(), special).Ids
                    : Load(name).Encode(text, special);
                Assert.That(ids, Is.EqualTo(Ints(row.GetProperty("ids"))), text);
            }
        });
    }

    [TestCase("bert-base-uncased", "bert-base-uncased")]
    [TestCase("google-bert/bert-base-uncased", "bert-base-uncased")]
    [TestCase("distilgpt2", "gpt2")]
    [TestCase("coreml-projects/Llama-2-7b-chat-coreml", "llama2")]
    [TestCase("pcuenq/Llama-3.2-1B-Instruct-tokenizer", "llama3")]
    [TestCase("t5-base", "t5")]
    public void SwiftTransformers(string model, string name)
    {
        JsonElement cases = Read("swift-transformers/tokenizer_tests.json").GetProperty(model);
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in cases.EnumerateArray())
            {
                string text = row.GetProperty("input").GetString()!;
                int[] expected = Ints(row.GetProperty("encoded").GetProperty("input_ids"));
                Assert.That(Load(name).Encode(text), Is.EqualTo(expected), text);
            }
        });
    }

    [TestCase("bert_uncased_encoded", "bert-base-uncased")]
    [TestCase("gpt2_encoded_tokens", "gpt2")]
    [TestCase("llama_encoded", "llama2")]
    [TestCase("llama_3.2_encoded", "llama3")]
    [TestCase("t5_base_encoded", "t5")]
    public void SwiftTransformers_LongText(string file, string name)
    {
        JsonElement row = Read($"swift-transformers/{file}.json");
        string text = row.GetProperty("text").GetString()!;

        // The ids are with special tokens, the tokens without.
        Assert.That(Load(name).Encode(text), Is.EqualTo(Ints(row.GetProperty("token_ids"))));
        string[] tokens = Load(name).EncodeWithOffsets(text, addSpecialTokens: false).Tokens;
        Assert.That(tokens, Is.EqualTo(row.GetProperty("bpe_tokens").EnumerateArray().Select(t => t.GetString())));
    }

    [Test]
    public void SwiftTransformers_SquadQuestions()
    {
        JsonElement questions = Read("swift-transformers/question_tokens.json"), expected = Read("swift-transformers/tokenized_questions.json");
        Tokenizer tokenizer = Load("bert-base-uncased");
        int wrong = 0;
        foreach ((JsonElement question, JsonElement ids) in questions.EnumerateArray().Zip(expected.EnumerateArray()))
        {
            if (!tokenizer.Encode(question.GetProperty("original").GetString()!, addSpecialTokens: false).SequenceEqual(Ints(ids))) wrong++;
        }

        Assert.That(wrong, Is.Zero);
        Assert.That(questions.GetArrayLength(), Is.EqualTo(10_570));
    }

    [TestCase("tokens_gpt2")]
    [TestCase("tokens_r50k_base")]
    public void DotnetMachineLearning(string file)
    {
        string text = File.ReadAllText(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/lib.rs.txt"));
        Assert.That(Load("gpt2").Encode(text), Is.EqualTo(Ints(Read($"dotnet-machinelearning/{file}.json"))));
    }

    [TestCase("LLaMA3_1", "llama3")]
    public void DotnetMachineLearning_Approved(string file, string name)
    {
        string[] lines = File.ReadAllLines(SharedFolder.Require($"data/tokenizers/dotnet-machinelearning/{file}Tests.TokenizerTest.approved.txt"));
        for (int i = 0; i + 1 < lines.Length; i += 2)
        {
            Assert.That(string.Join(", ", Load(name).Encode(lines[i], addSpecialTokens: false)), Is.EqualTo(lines[i + 1]), lines[i]);
        }
    }

    private static Tokenizer Load(string name)
    {
        if (_loaded.TryGetValue(name, out Tokenizer? tokenizer)) return tokenizer;
        return _loaded[name] = Tokenizer.Load(SharedFolder.Require($"goldens/tokenizers/real/{name}"));
    }

    private static JsonElement Read(string path) => JsonDocument.Parse(File.ReadAllText(SharedFolder.Require($"data/tokenizers/{path}"))).RootElement;

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];
}
