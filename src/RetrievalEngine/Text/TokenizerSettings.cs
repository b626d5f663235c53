using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;

namespace RetrievalEngine.Text;

/// <summary>
/// What lies beside a vocabulary: <c>tokenizer_config.json</c>, <c>special_tokens_map.json</c> for what that does not name, <c>added_tokens.json</c>,
/// and the family of <c>config.json</c>
/// where no class of tokenizers is named.
/// </summary>
internal sealed class TokenizerSettings
{
    private const string ConfigFile = "tokenizer_config.json", MapFile = "special_tokens_map.json", AddedFile = "added_tokens.json", ModelFile = "config.json";

    private static readonly Dictionary<string, string> s_classOfModel = new(StringComparer.Ordinal)
    {
        ["llama"] = "LlamaTokenizer",
        ["mistral"] = "LlamaTokenizer",
        ["gemma"] = "GemmaTokenizer",
        ["gemma2"] = "GemmaTokenizer",
        ["t5"] = "T5Tokenizer",
        ["bert"] = "BertTokenizer",
        ["roberta"] = "RobertaTokenizer",
        ["xlm-roberta"] = "XLMRobertaTokenizer",
        ["qwen2"] = "Qwen2Tokenizer",
        ["qwen3"] = "Qwen2Tokenizer",
        ["phi"] = "CodeGenTokenizer",
        ["gpt2"] = "GPT2Tokenizer",
    };

    private readonly JsonFields? _config, _map, _added;

    private TokenizerSettings(string folder)
    {
        _config = Find(ConfigFile);
        _map = Find(MapFile);
        _added = Find(AddedFile);
        string? named = _config?.TextOrNull("tokenizer_class");
        if (named is not null && named.EndsWith("Fast", StringComparison.Ordinal)) named = named[..^"Fast".Length];
        // These say nothing of the kind.
        if (named is "PreTrainedTokenizer" or "TokenizersBackend") named = null;
        string? model = Find(ModelFile)?.TextOrNull("model_type");
        Class = named ?? (model is null ? null : s_classOfModel.GetValueOrDefault(model));

        JsonFields? Find(string name)
        {
            string path = Path.Combine(folder, name);
            return File.Exists(path) ? JsonFields.Read(path) : null;
        }
    }

    /// <summary>The class of transformers that reads the vocabulary, without <c>Fast</c>; null where nothing tells.</summary>
    public string? Class { get; }

    /// <summary>The files that were found, but for <c>config.json</c>.</summary>
    public IEnumerable<string> Files => new[] { (ConfigFile, _config), (MapFile, _map), (AddedFile, _added) }.Where(file => file.Item2 is not null).Select(file => file.Item1);

    /// <summary>The side that loses tokens.</summary>
    public TruncationSide TruncationSide => _config?.TextOrNull("truncation_side") switch
    {
        null or "right" => TruncationSide.Right,
        "left" => TruncationSide.Left,
        string other => throw _config.Value.Error("truncation_side", $"is \"{other}\"; left or right is expected"),
    };

    /// <summary>Reads the settings of <paramref name="folder"/>.</summary>
    public static TokenizerSettings Read(string folder) => new(folder);

    /// <summary>true or false; null where the configuration does not say.</summary>
    public bool? Flag(string name) => _config is { } config && config.Has(name) ? config.Flag(name, false) : null;

    /// <summary>A whole number; null where the configuration does not say.</summary>
    public int? Int(string name, int min, int max) => _config?.IntOrNull(name, min, max);

    /// <summary>The text of a special token such as <c>bos_token</c>; null where none is named.</summary>
    public string? Special(string name) => Definition(name)?.Content;

    /// <summary>
    /// The added tokens: those of <c>added_tokens_decoder</c>, else of <c>added_tokens.json</c> and the special tokens named; ids are null where the
    /// vocabulary tells them.
    /// <paramref name="defaults"/> are the special tokens of the class, for files that name none.
    /// </summary>
    public IEnumerable<(int? Id, AddedToken Token)> Added(IReadOnlyDictionary<string, string> defaults)
    {
        if (_config?.ObjectOrNull("added_tokens_decoder") is { } decoder)
        {
            foreach (string id in decoder.Names)
            {
                if (!int.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number > Vocabulary.MaxId) throw decoder.Error(id, "is no token id");
                yield return (number, Read(decoder.Object(id), number));
            }

            yield break;
        }

        if (_added is { } added)
        {
            foreach (string content in added.Names.Where(content => content.Length > 0))
            {
                int id = added.Int(content, 0, Vocabulary.MaxId);
                yield return (id, Plain(content, special: false));
            }
        }

        foreach ((string name, string otherwise) in defaults)
        {
            AddedToken token = Definition(name) ?? Plain(otherwise, special: true);
            yield return (null, token with { Special = true });
        }

        foreach (JsonFields? file in (JsonFields?[])[_config, _map])
        {
            if (file is not { } fields || !fields.TryGet("additional_special_tokens", out JsonElement list) || list.ValueKind != JsonValueKind.Array) continue;
            foreach (JsonElement item in list.EnumerateArray())
            {
                AddedToken token = item.ValueKind == JsonValueKind.Object ? Read(JsonFields.Object(item, fields.Where), 0) : Plain(item.ValueKind == JsonValueKind.String
                    ? item.GetString()! : throw fields.Error("additional_special_tokens", "must hold strings"), special: true);
                yield return (null, token with { Special = true });
            }

            yield break;
        }
    }

    /// <summary>The special tokens by their ids in <paramref name="tokenizer"/>.</summary>
    public SpecialTokens SpecialTokens(Tokenizer tokenizer)
    {
        int? Id(string name) => Special(name) is { } content ? tokenizer.TokenToId(content) : null;
        double maxLength = _config?.Number("model_max_length", 0, 0, double.MaxValue) ?? 0;
        return new(
            Id("bos_token"),
            Id("eos_token"),
            Id("pad_token"),
            Id("cls_token"),
            Id("sep_token"),
            Id("unk_token"),
            // Transformers writes 1e30 where there is no limit.
            maxLength is >= 1 and <= int.MaxValue ? (int)maxLength : null,
            Flag("add_bos_token"),
            Flag("add_eos_token"));
    }

    private AddedToken? Definition(string name)
    {
        foreach (JsonFields? file in (JsonFields?[])[_config, _map])
        {
            if (file is not { } fields || !fields.TryGet(name, out JsonElement value)) continue;
            return value.ValueKind == JsonValueKind.Object ? Read(fields.Object(name), 0) : Plain(fields.Text(name), special: true);
        }

        return null;
    }

    private static AddedToken Plain(string content, bool special) => new(0, content, SingleWord: false, LeftStrip: false, RightStrip: false, Normalized: !special, special);

    private static AddedToken Read(JsonFields json, int id)
    {
        bool special = json.Flag("special", false);
        return new(id, json.Text("content"), json.Flag("single_word", false), json.Flag("lstrip", false), json.Flag("rstrip", false), json.Flag("normalized", !special), special);
    }
}
