using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;

namespace RetrievalEngine.Tests.Text;

/// <summary>Expected ids that other projects publish, for the vocabularies that are there; <see cref="EverySetIsTestedOrLeftOutForAReason"/> prints the others.</summary>
internal sealed class PublishedVectorTests
{
    private const string Separator = "\n__ggml_vocab_test__\n";

    private const string NoVocabulary = "its vocabulary is not in shared/";

    private static readonly Dictionary<string, Tokenizer> _loaded = [];

    /// <summary>Sets without a test, and why.</summary>
    private static readonly Dictionary<string, string> s_leftOut = new()
    {
        ["llama.cpp command-r"] = NoVocabulary,
        ["llama.cpp deepseek-llm"] = NoVocabulary,
        ["llama.cpp falcon"] = NoVocabulary,
        ["llama.cpp mpt"] = NoVocabulary,
        ["llama.cpp refact"] = NoVocabulary,
        ["llama.cpp roberta-bpe"] = NoVocabulary,
        ["llama.cpp starcoder"] = NoVocabulary,
        ["transformers.js google-bert/bert-base-cased"] = NoVocabulary,
        ["transformers.js Xenova/bert-base-cased"] = NoVocabulary,
        ["transformers.js Xenova/gpt-4"] = "its tokenizer.json, with cl100k's added tokens, is not in shared/",
        ["transformers.js Xenova/gemma2-tokenizer"] = NoVocabulary,
        ["transformers.js Xenova/t5-tokenizer-new"] = "its tokenizer.json, with another Metaspace than t5's, is not in shared/",
        ["transformers.js Xenova/LaMini-Flan-T5-783M"] = "its tokenizer.json, where spaces before </s> stay, is not in shared/",
        ["transformers.js tiiuae/falcon-7b"] = NoVocabulary,
        ["swift-transformers tiiuae/falcon-7b"] = NoVocabulary,
        ["swift-transformers pcuenq/gemma-tokenizer"] = NoVocabulary,
        ["swift-transformers openai/whisper-tiny.en"] = NoVocabulary,
        ["swift-transformers openai/whisper-large-v2"] = NoVocabulary,
        ["swift-transformers distilbert/distilbert-base-multilingual-cased"] = NoVocabulary,
        ["swift-transformers distilbert_cased_encoded"] = NoVocabulary,
        ["swift-transformers falcon_encoded"] = NoVocabulary,
        ["swift-transformers gemma_encoded"] = NoVocabulary,
        ["dotnet Mistral_7B_Instruct_V0_3"] = "its ids depart from sentencepiece's rule: }}}] as }}} ], though }] has the higher score, and no dummy prefix behind control tokens",
        ["dotnet tokens_gpt4o"] = NoVocabulary,
        ["dotnet tokens_p50k_base"] = "its ranks, with runs of spaces among them, are not in shared/",
    };

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

    [TestCase("tokens", "cl100k_base")]
    public void DotnetMachineLearning_RankFile(string file, string ranks)
    {
        using TempFolder folder = new();
        File.Copy(SharedFolder.Require($"data/tokenizers/dotnet-machinelearning/{ranks}.tiktoken"), folder.File("tokenizer.model"));
        string text = File.ReadAllText(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/lib.rs.txt"));
        Assert.That(Tokenizer.Load(folder.Path).Encode(text, addSpecialTokens: false), Is.EqualTo(Ints(Read($"dotnet-machinelearning/{file}.json"))));
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

    /// <summary>Texts of several lines; those with tokens of Phi-3's chat, which Llama 2's vocabulary lacks, are printed and left out.</summary>
    [Test]
    public void DotnetMachineLearning_Phi3()
    {
        List<string> text = [];
        int tested = 0;
        foreach (string line in File.ReadAllLines(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/Phi3Tests.TokenizerTest.approved.txt")))
        {
            if (!line.StartsWith("1, ", StringComparison.Ordinal))
            {
                text.Add(line);
                continue;
            }

            string whole = string.Join('\n', text);
            text.Clear();
            if (whole.Contains("<|", StringComparison.Ordinal))
            {
                TestContext.Out.WriteLine($"left out: dotnet Phi3: {whole.ReplaceLineEndings(@"\n")}");
                continue;
            }

            Assert.That(string.Join(", ", Load("llama2").Encode(whole, addSpecialTokens: false)), Is.EqualTo(line), whole);
            tested++;
        }

        Assert.That(tested, Is.EqualTo(4));
    }

    /// <summary>Phi's vocabulary is GPT-2's with tokens for runs of white space behind it (data/tokenizers/gpt2-phi/SOURCE.txt).</summary>
    [Test]
    public void DotnetMachineLearning_Phi2()
    {
        using TempFolder folder = new();
        Tokenizer phi = Phi(folder);
        foreach (JsonElement row in Read("dotnet-machinelearning/codegen_phi_cases.json").EnumerateArray())
        {
            string text = row.GetProperty("text").GetString()!;
            int[] ids = Ints(row.GetProperty("ids"));
            // Two texts were cut when the file was made; their ids are of the whole.
            if (phi.Decode(ids) is { } whole && whole != text && whole.StartsWith(text, StringComparison.Ordinal)) text = whole;
            Assert.That(phi.Encode(text, addSpecialTokens: false), Is.EqualTo(ids), text);
        }

        string approved = SharedFolder.Require("data/tokenizers/dotnet-machinelearning/Phi2Tests.TokenizerTest.approved.txt");
        string[] texts =
        [
            "Can you provide ways to eat combinations of bananas and dragonfruits?",
            "Sure! Here are some ways to eat bananas and dragonfruits together: 1. Banana and dragonfruit smoothie: Blend bananas and dragonfruits together with some milk and honey. 2. Banana and dragonfruit salad: Mix sliced bananas and dragonfruits together with some lemon juice and honey.",
            "What about solving an 2x + 3 = 7 equation?",
        ];
        foreach ((string text, string ids) in texts.Zip(File.ReadAllLines(approved)))
            Assert.That("50256, " + string.Join(", ", phi.Encode(text, addSpecialTokens: false)), Is.EqualTo(ids.TrimStart('\uFEFF')), text);
    }

    [Test]
    public void EverySetIsTestedOrLeftOutForAReason()
    {
        string root = SharedFolder.Require("data/tokenizers");
        List<string> there =
        [
            .. Directory.EnumerateFiles(Path.Combine(root, "llama.cpp-vocab-tests"), "*.gguf.out").Select(path => $"llama.cpp {Path.GetFileName(path)["ggml-vocab-".Length..^".gguf.out".Length]}"),
            .. Read("transformers.js-vectors/tokenization_cases.json").EnumerateObject().Select(model => $"transformers.js {model.Name}"),
            .. Read("swift-transformers/tokenizer_tests.json").EnumerateObject().Select(model => $"swift-transformers {model.Name}"),
            .. Directory.EnumerateFiles(Path.Combine(root, "swift-transformers"), "*_encoded*.json").Select(path => $"swift-transformers {Path.GetFileNameWithoutExtension(path)}"),
            .. Directory.EnumerateFiles(Path.Combine(root, "dotnet-machinelearning"), "tokens*.json").Select(path => $"dotnet {Path.GetFileNameWithoutExtension(path)}"),
            .. Directory.EnumerateFiles(Path.Combine(root, "dotnet-machinelearning"), "*.approved.txt").Select(path => $"dotnet {Path.GetFileName(path)[..^"Tests.TokenizerTest.approved.txt".Length]}"),
        ];
        HashSet<string> tested =
        [
            .. Cases(nameof(LlamaCpp), "llama.cpp"), .. Cases(nameof(TransformersJs), "transformers.js"), .. Cases(nameof(SwiftTransformers), "swift-transformers"),
            .. Cases(nameof(SwiftTransformers_LongText), "swift-transformers"), .. Cases(nameof(DotnetMachineLearning), "dotnet"),
            .. Cases(nameof(DotnetMachineLearning_RankFile), "dotnet"), .. Cases(nameof(DotnetMachineLearning_Approved), "dotnet"), "dotnet Phi2", "dotnet Phi3",
        ];
        foreach (string set in there.Where(set => !tested.Contains(set)))
        {
            Assert.That(s_leftOut, Does.ContainKey(set), "neither tested nor left out for a reason");
            TestContext.Out.WriteLine($"left out: {set}: {s_leftOut[set]}");
        }

        Assert.That(s_leftOut.Keys, Is.SubsetOf(there), "left out, but not there");
        Assert.That(tested.Intersect(s_leftOut.Keys), Is.Empty);
    }

    private static IEnumerable<string> Cases(string method, string source) => typeof(PublishedVectorTests).GetMethod(method)!
        .GetCustomAttributes(typeof(TestCaseAttribute), inherit: false).Cast<TestCaseAttribute>().Select(test => $"{source} {test.Arguments[0]}");

    private static Tokenizer Phi(TempFolder folder)
    {
        JsonNode tokenizer = JsonNode.Parse(File.ReadAllText(SharedFolder.Require("data/tokenizers/gpt2-phi/tokenizer.json")))!;
        JsonArray added = tokenizer["added_tokens"]!.AsArray();
        int id = 50257;
        for (int spaces = 31; spaces >= 2; spaces--) Add(new string(' ', spaces));
        for (int tabs = 9; tabs >= 2; tabs--) Add(new string('\t', tabs));
        File.WriteAllText(folder.File("tokenizer.json"), tokenizer.ToJsonString());
        return Tokenizer.Load(folder.Path);

        void Add(string content) => added.Add(new JsonObject
        {
            ["id"] = id++,
            ["content"] = content,
            ["single_word"] = false,
            ["lstrip"] = false,
            ["rstrip"] = false,
            ["normalized"] = true,
            ["special"] = false,
        });
    }

    private static Tokenizer Load(string name)
    {
        if (_loaded.TryGetValue(name, out Tokenizer? tokenizer)) return tokenizer;
        return _loaded[name] = Tokenizer.Load(SharedFolder.Require($"goldens/tokenizers/real/{name}"));
    }

    private static JsonElement Read(string path) => JsonDocument.Parse(File.ReadAllText(SharedFolder.Require($"data/tokenizers/{path}"))).RootElement;

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];
}
