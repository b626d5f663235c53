using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// <c>adapter_config.json</c> of a LoRA adapter as PEFT 0.21 writes it (and older versions, which have fewer fields). Options that change what an
/// adapter computes and that are not among these properties are refused by name. Modules go by their canonical names (<see cref="CheckpointNames"/>);
/// patterns written for a prefixed model match too.
/// </summary>
public sealed record AdapterConfig
{
    /// <summary>The file's name.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary><see cref="TaskType"/> of a reranker.</summary>
    public const string RerankerTask = "SEQ_CLS";

    /// <summary><see cref="TargetPattern"/> for every linear map of the backbone.</summary>
    public const string AllLinear = "all-linear";

    // Bookkeeping, and options that act only when PEFT makes a new adapter: which modules have one is told by the tensors.
    private static readonly string[] s_withoutEffect =
    [
        "auto_mapping", "exclude_modules", "inference_mode", "layers_pattern", "layers_to_transform", "megatron_core", "peft_version",
        "qalora_group_size", "revision",
    ];

    private static readonly TimeSpan s_patternTime = TimeSpan.FromMilliseconds(200);
    private string _json = DefaultJson;

    /// <summary>Rank R of every adapter that <see cref="RankPattern"/> does not name.</summary>
    public required int R { get; init; }

    /// <summary>α: the adapter's output is scaled by α / R, or α / √R with <see cref="UseRslora"/>.</summary>
    public required double LoraAlpha { get; init; }

    /// <summary>Dropout on the adapter's input in training.</summary>
    public double LoraDropout { get; init; }

    /// <summary>Modules with an adapter, by name or by the end of it; empty where <see cref="TargetPattern"/> or the tensors tell.</summary>
    public IReadOnlyList<string> TargetModules { get; init; } = [];

    /// <summary><see cref="AllLinear"/>, or a regular expression that the module's whole name must match; null where the names are listed.</summary>
    public string? TargetPattern { get; init; }

    /// <summary>Modules trained in full and stored with the adapter, such as <c>score</c>.</summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>Rank-stabilised scaling (Kalajdzievski 2023).</summary>
    public bool UseRslora { get; init; }

    /// <summary>Other ranks, by a regular expression for the end of a module's name; the first that matches holds.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> RankPattern { get; init; } = [];

    /// <summary>Other α, likewise.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary><c>FEATURE_EXTRACTION</c>, <c>SEQ_CLS</c>, …; null where not given.</summary>
    public string? TaskType { get; init; }

    /// <summary>Whether the adapter makes a reranker of its base.</summary>
    public bool IsReranker => TaskType == RerankerTask;

    /// <summary>The checkpoint that the adapter belongs to, as it was named when the adapter was made.</summary>
    public string? BaseModelNameOrPath { get; init; }

    /// <summary>Reads <c>adapter_config.json</c> of <paramref name="folder"/>.</summary>
    /// <exception cref="InputException">It is missing, damaged, or asks for something that cannot be done.</exception>
    public static AdapterConfig Load(string folder)
    {
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: no such folder; name a PEFT adapter folder with {FileName}");
        string path = Path.Combine(folder, FileName);
        return Parse(JsonFields.ReadBytes(path), path);
    }

    /// <summary>Reads the text of an <c>adapter_config.json</c>; messages call it <paramref name="where"/>.</summary>
    public static AdapterConfig Parse(ReadOnlySpan<byte> json, string where)
    {
        JsonFields fields = JsonFields.Parse(json, where).Tracked();
        Require(fields, "peft_type", "LORA", null);
        Require(fields, "bias", "none", "none");
        if (fields.TryGet("init_lora_weights", out JsonElement init) && init.ValueKind == JsonValueKind.String)
        {
            if (fields.Text("init_lora_weights") is not ("gaussian" or "orthogonal"))
                throw fields.Error("init_lora_weights", $"is {JsonFields.Shorten(init)}: the base weights were changed, which is not supported");
        }

        bool listed = fields.TryGet("target_modules", out JsonElement targets) && targets.ValueKind != JsonValueKind.String;
        AdapterConfig config = new()
        {
            R = fields.Int("r", 1, 1 << 16),
            LoraAlpha = fields.Number("lora_alpha", 1e-6, 1e9),
            LoraDropout = fields.Number("lora_dropout", 0, 0, 0.999),
            TargetModules = listed ? fields.TextsOrNull("target_modules")! : [],
            TargetPattern = listed ? null : fields.TextOrNull("target_modules"),
            ModulesToSave = fields.TextsOrNull("modules_to_save") ?? [],
            UseRslora = fields.Flag("use_rslora", false),
            RankPattern = ReadPattern(fields, "rank_pattern", whole: true),
            AlphaPattern = ReadPattern(fields, "alpha_pattern", whole: false),
            TaskType = fields.TextOrNull("task_type"),
            BaseModelNameOrPath = fields.TextOrNull("base_model_name_or_path"),
            _json = fields.Element.GetRawText(),
        };
        foreach (string name in fields.Unasked.Except(s_withoutEffect, StringComparer.Ordinal).Where(fields.IsSet))
            throw fields.Error(name, "is set, which is not supported");
        if (config.TargetPattern is not (null or AllLinear)) CheckPattern(fields, "target_modules", Whole(config.TargetPattern));
        foreach ((string key, _) in config.RankPattern) CheckPattern(fields, "rank_pattern", End(key));
        foreach ((string key, _) in config.AlphaPattern) CheckPattern(fields, "alpha_pattern", End(key));
        return config;
    }

    /// <summary>Whether a new adapter of this configuration has weights for the linear map <paramref name="module"/> of the backbone.</summary>
    public bool Targets(string module)
    {
        ArgumentNullException.ThrowIfNull(module);
        if (TargetPattern == AllLinear) return true;
        return WithPrefixes(module).Any(name => TargetPattern is null
            ? TargetModules.Any(target => name == target || name.EndsWith("." + target, StringComparison.Ordinal))
            : Matches(name, Whole(TargetPattern)));
    }

    /// <summary>Rank of the adapter of <paramref name="module"/>.</summary>
    public int RankOf(string module) => (int)FromPattern(RankPattern, module, R);

    /// <summary>α of the adapter of <paramref name="module"/>.</summary>
    public double AlphaOf(string module) => FromPattern(AlphaPattern, module, LoraAlpha);

    /// <summary>Factor on the adapter's output for <paramref name="module"/>.</summary>
    public float ScaleOf(string module) => (float)(AlphaOf(module) / (UseRslora ? Math.Sqrt(RankOf(module)) : RankOf(module)));

    /// <summary>Whether <paramref name="module"/> is, or lies in, a module of <see cref="ModulesToSave"/>.</summary>
    public bool Saves(string module)
    {
        ArgumentNullException.ThrowIfNull(module);
        string dotted = $".{module}.";
        return ModulesToSave.Any(saved => dotted.Contains($".{saved}.", StringComparison.Ordinal));
    }

    /// <summary>
    /// The text of <c>adapter_config.json</c>: every field that PEFT 0.21 writes, sorted; fields of a configuration that was read are kept.
    /// </summary>
    public string ToJson()
    {
        JsonObject root = JsonNode.Parse(_json)!.AsObject();
        root["r"] = R;
        root["lora_alpha"] = Number(LoraAlpha);
        root["lora_dropout"] = LoraDropout;
        root["target_modules"] = TargetPattern is not null ? TargetPattern : TargetModules.Count > 0 ? Array(TargetModules) : null;
        root["modules_to_save"] = ModulesToSave.Count > 0 ? Array(ModulesToSave) : null;
        root["use_rslora"] = UseRslora;
        root["rank_pattern"] = Object(RankPattern);
        root["alpha_pattern"] = Object(AlphaPattern);
        root["task_type"] = TaskType;
        root["base_model_name_or_path"] = BaseModelNameOrPath;
        KeyValuePair<string, JsonNode?>[] sorted = [.. root.OrderBy(field => field.Key, StringComparer.Ordinal)];
        root.Clear();
        return new JsonObject(sorted).ToJsonString(new JsonSerializerOptions { WriteIndented = true });
    }

    private static void Require(JsonFields fields, string name, string value, string? otherwise)
    {
        string given = fields.TextOrNull(name) ?? otherwise ?? throw fields.Error(name, "is missing");
        if (given != value) throw fields.Error(name, $"is \"{given}\"; only {value} is supported");
    }

    private static KeyValuePair<string, double>[] ReadPattern(JsonFields fields, string name, bool whole)
    {
        if (fields.ObjectOrNull(name) is not { } pattern) return [];
        return [.. pattern.Names.Select(key => KeyValuePair.Create(key, whole ? pattern.Int(key, 1, 1 << 16) : pattern.Number(key, 1e-6, 1e9)))];
    }

    private static double FromPattern(IReadOnlyList<KeyValuePair<string, double>> pattern, string module, double otherwise)
    {
        ArgumentNullException.ThrowIfNull(module);
        foreach ((string key, double value) in pattern)
        {
            if (WithPrefixes(module).Any(name => Matches(name, End(key)))) return value;
        }

        return otherwise;
    }

    private static string[] WithPrefixes(string module) => [module, "model." + module, "bert." + module];

    private static string Whole(string pattern) => $"^(?:{pattern})$";

    private static string End(string pattern) => $@"^(.*\.)?({pattern})$";

    private static void CheckPattern(JsonFields fields, string field, string pattern)
    {
        try
        {
            _ = new Regex(pattern, RegexOptions.CultureInvariant);
        }
        catch (ArgumentException e)
        {
            throw new InputException(fields.Error(field, $"holds a pattern that cannot be used: {pattern}").Message, e);
        }
    }

    private static bool Matches(string name, string pattern)
    {
        try
        {
            return Regex.IsMatch(name, pattern, RegexOptions.CultureInvariant, s_patternTime);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException($"{FileName}: the pattern {pattern} takes too long to match; list the modules instead", e);
        }
    }

    private static JsonValue Number(double value) =>
        value == Math.Floor(value) && Math.Abs(value) < 1e15 ? JsonValue.Create((long)value) : JsonValue.Create(value);

    private static JsonArray Array(IReadOnlyList<string> texts) => new([.. texts.Select(text => (JsonNode)JsonValue.Create(text))]);

    private static JsonObject Object(IReadOnlyList<KeyValuePair<string, double>> pattern) =>
        new(pattern.Select(pair => KeyValuePair.Create(pair.Key, (JsonNode?)Number(pair.Value))));

    /// <summary>What PEFT 0.21 writes for a LoRA without special options.</summary>
    private const string DefaultJson = """
        {
          "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null, "auto_mapping": null, "base_model_name_or_path": null,
          "bias": "none", "corda_config": null, "ensure_weight_tying": false, "eva_config": null, "exclude_modules": null,
          "fan_in_fan_out": false, "inference_mode": true, "init_lora_weights": true, "kasa_config": null, "layer_replication": null,
          "layers_pattern": null, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8, "lora_bias": false, "lora_dropout": 0.0,
          "lora_ga_config": null, "megatron_config": null, "megatron_core": "megatron.core", "modules_to_save": null,
          "monteclora_config": null, "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16, "r": 8, "rank_pattern": {},
          "revision": null, "target_modules": null, "target_parameters": null, "task_type": null, "trainable_token_indices": null,
          "use_bdlora": null, "use_dora": false, "use_qalora": false, "use_rslora": false, "velora_config": null
        }
        """;
}
