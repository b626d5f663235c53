using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Models;

namespace RetrievalEngine.TestKit;

/// <summary>
/// Model folders of a few kilobytes with random weights and a tokenizer that knows every text: enough to try what needs a model, on every machine.
/// </summary>
public static class TinyModel
{
    private const string Common = """
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64,
         "initializer_range": 0.3
        """;

    /// <summary>Id of the decoder's EOS.</summary>
    public const int Eos = 1;

    /// <summary>Writes a Llama with a byte-level tokenizer: ids 0 and 1 are BOS and EOS, which its template does not add.</summary>
    public static string WriteDecoder(string folder, ulong seed = 1)
    {
        string[] tokens = ["<s>", "</s>", .. Enumerable.Range(0, 256).Select(ByteCharacter)];
        Write(folder, seed, $$"""
            {"model_type": "llama", "vocab_size": {{tokens.Length}}, {{Common}}, "num_key_value_heads": 1, "hidden_act": "silu", "rms_norm_eps": 1e-5,
             "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 1}
            """, $$"""
            {"added_tokens": [{{Added(0, "<s>")}}, {{Added(1, "</s>")}}], "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
             "post_processor": null, "decoder": {"type": "ByteLevel"},
             "model": {"type": "BPE", "vocab": {{Vocabulary(tokens)}}, "merges": [] } }
            """);
        File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), """{"bos_token": "<s>", "eos_token": "</s>", "model_max_length": 64}""");
        return folder;
    }

    /// <summary>Writes a BERT with a WordPiece tokenizer of single letters: [CLS] and [SEP] around each text.</summary>
    public static string WriteEncoder(string folder, ulong seed = 1)
    {
        string[] letters = [.. "abcdefghijklmnopqrstuvwxyz0123456789.,?".Select(static c => c.ToString())];
        string[] tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", .. letters, .. letters.Select(static l => "##" + l)];
        Write(folder, seed, $$"""
            {"model_type": "bert", "vocab_size": {{tokens.Length}}, {{Common}}, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
             "pad_token_id": 0, "position_embedding_type": "absolute"}
            """, """
            {"added_tokens": [ADDED],
             "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
             "pre_tokenizer": {"type": "BertPreTokenizer"},
             "post_processor": {"type": "TemplateProcessing",
              "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
              "pair": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
               {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
              "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
               "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
              "vocab": VOCABULARY}}
            """.Replace("ADDED", string.Join(", ", tokens.Take(4).Select(static (token, id) => Added(id, token))), StringComparison.Ordinal)
            .Replace("VOCABULARY", Vocabulary(tokens), StringComparison.Ordinal));
        return folder;
    }

    /// <summary>Writes a LoRA adapter of rank 2, with weights that matter, on all linear maps of <paramref name="model"/>.</summary>
    public static string WriteAdapter(string folder, string model, ulong seed = 1)
    {
        AdapterConfig config = new() { R = 2, LoraAlpha = 4, TargetPattern = AdapterConfig.AllLinear };
        using CpuBackend backend = new(1);
        using Transformer transformer = Transformer.Load(backend, model);
        LoraWeights.Attach(backend, transformer, config, seed);
        // B is zero in a fresh adapter, which would change nothing.
        Random random = new((int)seed);
        foreach (Parameter parameter in transformer.LoraParameters)
        {
            float[] values = [.. Enumerable.Range(0, (int)parameter.Value.Count).Select(_ => random.NextSingle() - 0.5f)];
            backend.Upload<float>(values, parameter.Value);
        }

        Directory.CreateDirectory(folder);
        LoraWeights.Save(backend, transformer, config, folder);
        return folder;
    }

    private static void Write(string folder, ulong seed, string config, string tokenizer)
    {
        ModelConfig parsed = ModelConfig.Parse(System.Text.Encoding.UTF8.GetBytes(config), "config.json");
        using CpuBackend backend = new(1);
        using Transformer model = Transformer.CreateRandom(backend, parsed, seed);
        Directory.CreateDirectory(folder);
        CheckpointWriter.Write(
            folder, parsed.ToJson(DType.F32), [.. model.Parameters.Select(p => TensorSource.FromTensor(p.Name, backend, p.Value, DType.F32))]);
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer);
    }

    private static string Added(int id, string token) =>
        $$"""{"id": {{id}}, "content": "{{token}}", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}""";

    private static string Vocabulary(IEnumerable<string> tokens) =>
        JsonSerializer.Serialize(tokens.Select(static (token, id) => (token, id)).ToDictionary(static t => t.token, static t => t.id));

    /// <summary>GPT-2's visible character for a byte: itself where it is printable in Latin-1, else the next one from U+0100 on.</summary>
    private static string ByteCharacter(int value)
    {
        static bool IsPrintable(int b) => b is (>= 33 and <= 126) or (>= 161 and <= 172) or (>= 174 and <= 255);
        return ((char)(IsPrintable(value) ? value : 256 + Enumerable.Range(0, value).Count(static b => !IsPrintable(b)))).ToString();
    }
}
