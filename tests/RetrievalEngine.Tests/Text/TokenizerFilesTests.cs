using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using NUnit.Framework;
using RetrievalEngine.TestKit;
using RetrievalEngine.Text;
using RetrievalEngine.Verification;

namespace RetrievalEngine.Tests.Text;

/// <summary>Tokenizers from the files that older checkpoints have in place of tokenizer.json: the same ids, offsets and texts.</summary>
internal sealed class TokenizerFilesTests
{
    private const string Llama = """{"model_type": "llama"}""";
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [TestCase("llama2", Llama, "llama2/tokenizer.model")]
    [TestCase("llama3", Llama, "llama3/tokenizer.model")]
    [TestCase("llama3", Llama, "llama3/vocab.json", "llama3/merges.txt")]
    [TestCase("t5", """{"model_type": "t5"}""", "t5/spiece.model")]
    [TestCase("t5", "{}", "t5/spiece.model", "t5/tokenizer_config.json", "t5/special_tokens_map.json")]
    [TestCase("bert-base-uncased", "{}", "bert/vocab.txt")]
    [TestCase("bert-base-uncased", "{}", "bert/vocab.txt", "bert/tokenizer_config.json")]
    [TestCase("gpt2", "{}", "gpt2-phi/vocab.json", "gpt2-phi/merges.txt")]
    [TestCase("gpt2", "{}", "gpt2-phi/vocab.json", "gpt2-phi/merges.txt", "gpt2-phi/tokenizer_config.json")]
    [TestCase("qwen2", "{}", "qwen2/vocab.json", "qwen2/merges.txt", "qwen2/tokenizer_config.json")]
    public void Load_OtherFiles_GivesWhatTokenizerJsonGives(string golden, string config, params string[] files)
    {
        string goldens = SharedFolder.Require($"goldens/tokenizers/real/{golden}");
        foreach (string name in (string[])["cases.jsonl", "pairs.jsonl"]) File.Copy(Path.Combine(goldens, name), _folder.File(name));
        Copy(files);
        _folder.Write("config.json", config);
        List<VerificationItem> items = [.. TokenizerVerifier.Verify(_folder.Path)];
        Assert.That(items.Where(i => i.Outcome != VerificationOutcome.Ok).Select(i => $"{i.Measure}: {i.Error}, {i.Note}"), Is.Empty);
        Assert.That(items, Has.Count.EqualTo(6));
    }

    [TestCase("mistral_instruct_tokenizer_240323.model.v3")]
    [TestCase("tokenizer.model.v1")]
    public void Load_Mistral_GivesSentencePiecesIds(string name)
    {
        File.Copy(SharedFolder.Require($"data/tokenizers/mistral/{name}"), _folder.File("tokenizer.model"));
        _folder.Write("config.json", """{"model_type": "mistral"}""");
        // What the C++ library makes of the text.
        string[] tokens = Tokenizer.Load(_folder.Path).EncodeWithOffsets("""["location", "format"]}}}]""").Tokens;
        Assert.That(tokens, Is.EqualTo(new[] { "<s>", "▁[\"", "location", "\",", "▁\"", "format", "\"]", "}}", "}]" }));
    }

    [Test]
    public void Load_Phi3_GivesThePublishedIds()
    {
        Copy(["llama2/tokenizer.model"]);
        _folder.Write("config.json", Llama);
        _folder.Write("added_tokens.json", """{"<|assistant|>": 32001, "<|end|>": 32007, "<|user|>": 32010}""");
        JsonObject config = new() { ["added_tokens_decoder"] = new JsonObject() };
        foreach ((string token, int id) in new[] { ("<unk>", 0), ("<s>", 1), ("</s>", 2), ("<|assistant|>", 32001), ("<|end|>", 32007), ("<|user|>", 32010) })
        {
            config["added_tokens_decoder"]![id.ToString(CultureInfo.InvariantCulture)] = new JsonObject
            {
                ["content"] = token,
                ["special"] = true,
                ["normalized"] = false,
                ["rstrip"] = id > 32000,
            };
        }

        _folder.Write("tokenizer_config.json", config.ToJsonString());
        string[] parts = File.ReadAllText(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/Phi3Tests.TokenizerTest.approved.txt")).Split("<s>")[1..];
        // The last one has no space in front of what follows a special token, which only that project's tokenizer leaves out.
        parts = parts[..^1];
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Multiple(() =>
        {
            foreach (string part in parts)
            {
                string text = part.TrimEnd('\n', '\r'), ids = text[(text.LastIndexOf('\n') + 1)..];
                text = text[..text.LastIndexOf('\n')].TrimEnd('\r');
                Assert.That(Ids(tokenizer.Encode(text)), Is.EqualTo(ids.TrimEnd('\r')), text);
            }
        });
    }

    [Test]
    public void Load_Phi2_GivesThePublishedIds()
    {
        Copy(["gpt2-phi/vocab.json", "gpt2-phi/merges.txt"]);
        _folder.Write("config.json", """{"model_type": "phi"}""");
        JsonObject added = [];
        for (int n = 31; n >= 2; n--) added[new string(' ', n)] = 50257 + 31 - n;
        for (int n = 9; n >= 2; n--) added[new string('\t', n)] = 50287 + 9 - n;
        _folder.Write("added_tokens.json", added.ToJsonString());
        JsonElement cases = JsonDocument.Parse(File.ReadAllText(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/codegen_phi_cases.json"))).RootElement;
        Tokenizer plain = Tokenizer.Load(_folder.Path);
        _folder.Write("tokenizer_config.json", """{"add_prefix_space": true}""");
        Tokenizer prefixed = Tokenizer.Load(_folder.Path);
        Assert.Multiple(() =>
        {
            foreach (JsonElement row in cases.EnumerateArray())
            {
                string text = row.GetProperty("text").GetString()!;
                // Two texts are cut short, their ids are not.
                if (text.EndsWith(' ')) continue;
                Assert.That(plain.Encode(text), Is.EqualTo(row.GetProperty("ids").EnumerateArray().Select(e => e.GetInt32())), text);
                Assert.That(prefixed.EncodeWithOffsets(text).Tokens[..1], Is.Not.Empty);
            }

            string[] questions = ["Can you provide ways to eat combinations of bananas and dragonfruits?", "What about solving an 2x + 3 = 7 equation?"];
            string[] lines = File.ReadAllLines(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/Phi2Tests.TokenizerTest.approved.txt"));
            for (int i = 0; i < 2; i++) Assert.That(Ids([50256, .. plain.Encode(questions[i])]), Is.EqualTo(lines[2 * i].TrimStart('\uFEFF')));
        });
    }

    [Test]
    public void Load_RanksOfGpt4_GivesThePublishedIds()
    {
        File.Copy(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/cl100k_base.tiktoken"), _folder.File("tokenizer.model"));
        string text = File.ReadAllText(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/lib.rs.txt"));
        JsonElement ids = JsonDocument.Parse(File.ReadAllText(SharedFolder.Require("data/tokenizers/dotnet-machinelearning/tokens.json"))).RootElement;
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        Assert.That(tokenizer.Encode(text, addSpecialTokens: false), Is.EqualTo(ids.EnumerateArray().Select(e => e.GetInt32())));
        Assert.That(tokenizer.IdLimit, Is.EqualTo(100_256));
    }

    [TestCase("test_model.model")]
    [TestCase("test_ja_model.model")]
    public void Load_SentencePieceUnigram_BringsEveryLineBack(string name)
    {
        File.Copy(SharedFolder.Require($"data/tokenizers/sentencepiece/{name}"), _folder.File("tokenizer.model"));
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        int lines = 0;
        foreach (string line in File.ReadLines(SharedFolder.Require("data/tokenizers/sentencepiece/botchan.txt")))
        {
            string normalized = string.Join(' ', line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
            int[] ids = tokenizer.Encode(line);
            if (ids.Contains(tokenizer.TokenToId("<unk>")!.Value)) continue;
            Assert.That(tokenizer.Decode(ids), Is.EqualTo(normalized));
            lines++;
        }

        Assert.That(lines, Is.GreaterThan(3000));
    }

    [TestCase("gemma_test_vocab", "gemma")]
    [TestCase("t5_test_vocab", "t5")]
    public void Load_ModelOfWholeWords_IsRefusedByName(string name, string family)
    {
        File.Copy(SharedFolder.Require($"data/tokenizers/keras-hub-spm/{name}.spm"), _folder.File("tokenizer.model"));
        _folder.Write("config.json", $$"""{"model_type": "{{family}}"}""");
        Assert.That(() => Tokenizer.Load(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("of the kind word, which is not supported"));
    }

    [TestCase("llama_export_vocab", "llama", "<s>")]
    public void Load_ModelOfFewPieces_Works(string name, string family, string? first)
    {
        File.Copy(SharedFolder.Require($"data/tokenizers/keras-hub-spm/{name}.spm"), _folder.File("tokenizer.model"));
        _folder.Write("config.json", $$"""{"model_type": "{{family}}"}""");
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        TokenizedText tokens = tokenizer.EncodeWithOffsets("the quick brown fox");
        Assert.That(tokens.Tokens[0], first is null ? Is.EqualTo("▁the") : Is.EqualTo(first));
        Assert.That(tokenizer.Decode(tokens.Ids, skipSpecialTokens: true), Is.EqualTo("the quick brown fox"));
    }

    [Test]
    public void Parse_DamagedSentencePiece_IsRefusedOrWorks()
    {
        byte[] whole = File.ReadAllBytes(SharedFolder.Require("data/tokenizers/keras-hub-spm/llama_export_vocab.spm"));
        TokenizerSettings settings = TokenizerSettings.Read(_folder.Path);
        // The character map is most of the file: damage before it hits the pieces, so the map is cut short.
        byte[] pieces = whole[..600];
        Fuzz.Run(whole, bytes => Use(SentencePieceTokenizer.Build(SentencePieceFile.Parse(bytes, "m"), settings, "m")), rounds: 100);
        Fuzz.Run(pieces, bytes => Use(SentencePieceTokenizer.Build(SentencePieceFile.Parse(bytes, "m"), settings, "m")), rounds: 2000);
    }

    [Test]
    public void Parse_DamagedRanks_AreRefusedOrWork()
    {
        byte[] ranks = System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Range(0, 256).Select(b => $"{Convert.ToBase64String([(byte)b])} {b}\n")) + "YWI= 256\n");
        TokenizerSettings settings = TokenizerSettings.Read(_folder.Path);
        Assert.That(TiktokenFile.Recognises(ranks));
        Tokenizer tokenizer = TiktokenFile.Build(ranks, settings, "m").Build(settings.SpecialTokens, "");
        Assert.That(tokenizer.Encode("abc é"), Is.EqualTo(new[] { 256, 'c', ' ', 0xC3, 0xA9 }));
        Fuzz.Run(ranks, bytes => Use(TiktokenFile.Build(bytes, settings, "m")), rounds: 500);
    }

    [TestCase("vocab.json", """{"Ġ": 0, "a": 1, "b": 2, "ab": 3, "<|endoftext|>": 4}""", "merges.txt", "#version: 0.2\na b\n")]
    [TestCase("merges.txt", "#version: 0.2\na b\nab a\n", "vocab.json", """{"Ġ": 0, "a": 1, "b": 2, "ab": 3, "aba": 4}""")]
    [TestCase("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\na\n##b\n", null, "")]
    [TestCase("tokenizer_config.json", """
        {"tokenizer_class": "BertTokenizerFast", "do_lower_case": false, "cls_token": {"content": "[CLS]", "lstrip": true}, "model_max_length": 1e30,
         "added_tokens_decoder": {"1": {"content": "[CLS]", "special": true}, "9": {"content": "x"}}, "additional_special_tokens": ["[X]"], "truncation_side": "left"}
        """, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n")]
    [TestCase("added_tokens.json", """{"[NEW]": 7, "b": 8}""", "vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n")]
    public void Load_DamagedFile_IsRefusedOrWorks(string name, string valid, string? beside, string text)
    {
        if (beside is not null) _folder.Write(beside, text);
        _folder.Write(name, valid);
        Tokenizer.Load(_folder.Path).Encode("ab a");
        Fuzz.Run(System.Text.Encoding.UTF8.GetBytes(valid), bytes =>
        {
            File.WriteAllBytes(_folder.File(name), bytes);
            Tokenizer.Load(_folder.Path).EncodePair("ab [CLS] x", "b");
        }, rounds: 800);
    }

    [Test]
    public void Load_RobertaFiles_GiveItsTemplate()
    {
        _folder.Write("vocab.json", """{"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "Ġ": 5, "Ġa": 6, "<mask>": 7}""");
        _folder.Write("merges.txt", "#version: 0.2\nĠ a\n");
        _folder.Write("config.json", """{"model_type": "roberta"}""");
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path);
        Assert.Multiple(() =>
        {
            Assert.That(tokenizer.Encode("a a"), Is.EqualTo(new[] { 0, 4, 6, 2 }));
            Assert.That(tokenizer.EncodePair("a", " a <mask>").Ids, Is.EqualTo(new[] { 0, 4, 2, 2, 6, 7, 2 }));
            Assert.That(tokenizer.EncodePair("a", "a").TypeIds, Is.All.Zero);
        });
    }

    [Test]
    public void Load_XlmRobertaModel_HasFairseqsIds()
    {
        File.Copy(SharedFolder.Require("data/tokenizers/sentencepiece/test_model.model"), _folder.File("sentencepiece.bpe.model"));
        _folder.Write("tokenizer_config.json", """{"tokenizer_class": "XLMRobertaTokenizer"}""");
        Tokenizer tokenizer = Tokenizer.Load(_folder.Path), plain = Plain();
        int[] ids = tokenizer.Encode("this is a test"), without = plain.Encode("this is a test");
        Assert.That(ids, Is.EqualTo((int[])[0, .. without.Select(id => id + 1), 2]));
        Assert.That(tokenizer.EncodePair("a", "b").Ids.Count(id => id == 2), Is.EqualTo(3));
        Assert.That(tokenizer.TokenToId("<mask>"), Is.EqualTo(tokenizer.IdLimit - 1));
    }

    [Test]
    public void Load_OtherClass_IsRefusedByName()
    {
        _folder.Write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
        _folder.Write("tokenizer_config.json", """{"tokenizer_class": "FunnelTokenizer"}""");
        Assert.That(() => Tokenizer.Load(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("FunnelTokenizer is not supported"));
    }

    [Test]
    public void Load_Nothing_SaysWhatIsLookedFor() =>
        Assert.That(() => Tokenizer.Load(_folder.Path), Throws.TypeOf<InputException>().With.Message.Contains("none of tokenizer.json, tokenizer.model, "));

    [Test]
    public void Hash_OfOtherFiles_CountsWhatDecidesIds()
    {
        _folder.Write("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n");
        string before = Tokenizer.Load(_folder.Path).Hash;
        _folder.Write("tokenizer_config.json", """{"do_lower_case": false}""");
        Assert.That(Tokenizer.Load(_folder.Path).Hash, Is.Not.EqualTo(before));
    }

    private static void Use(TokenizerParts parts)
    {
        Tokenizer tokenizer = parts.Build(_ => new(null, null, null, null, null, null, null, null, null), "");
        tokenizer.Decode(tokenizer.EncodePair("Hello the quick wörld 😀 ab", "b").Ids);
    }

    private Tokenizer Plain()
    {
        _folder.Write("plain/config.json", "{}");
        File.Copy(_folder.File("sentencepiece.bpe.model"), _folder.File("plain/tokenizer.model"));
        return Tokenizer.Load(_folder.File("plain"));
    }

    private void Copy(string[] files)
    {
        foreach (string name in files) File.Copy(SharedFolder.Require($"data/tokenizers/{name}"), _folder.File(Path.GetFileName(name)));
    }

    private static string Ids(int[] ids) => string.Join(", ", ids);
}
