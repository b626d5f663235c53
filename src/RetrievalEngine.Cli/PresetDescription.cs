using System.Text.Json.Nodes;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Encoding;
using RetrievalEngine.Training;

namespace RetrievalEngine.Cli;

/// <summary>What <c>retrieval info presets</c> prints.</summary>
internal static class PresetDescription
{
    /// <summary>What stands in the place of a path.</summary>
    public const string Word = "presets";

    /// <summary>Every preset by its name: what it is, how texts are treated, how it is trained.</summary>
    public static JsonObject OfAll()
    {
        JsonObject all = [];
        foreach (Preset preset in Presets.All) all[preset.Name] = Of(preset);
        return all;
    }

    private static JsonObject Of(Preset preset)
    {
        TrainingOptions training = preset.Training;
        JsonObject described = new() { ["what"] = preset.Description, ["task"] = preset.Task.ToString().ToLowerInvariant() };
        foreach ((string name, JsonNode? value) in preset.Task == TrainingTaskKind.Reranker ? Pairs(preset) : Texts(preset)) described[name] = value?.DeepClone();
        described["lora"] = preset.Lora is { } lora ? Lora(lora) : "no, all weights";
        described["learning_rate"] = (double)(decimal)training.LearningRate;
        described["queries_a_step"] = $"{training.BatchSize} x {training.AccumulationSteps}";
        described["train_group_size"] = training.TrainGroupSize;
        described["warmup"] = training.WarmupSteps is { } steps ? $"{steps} steps" : $"{training.WarmupRatio:P0} of all steps";
        return described;
    }

    private static JsonObject Texts(Preset preset) => new()
    {
        ["query_prefix"] = preset.Contract.QueryPrefix,
        ["passage_prefix"] = preset.Contract.PassagePrefix,
        ["special_tokens"] = preset.Contract.AddSpecialTokens ?? true,
        ["append_eos_token"] = preset.Contract.AppendEosToken,
        ["query_max_len"] = preset.Contract.QueryMaxLength,
        ["passage_max_len"] = preset.Contract.PassageMaxLength,
        ["pooling"] = EncodingContract.PoolingName(preset.Contract.Pooling!.Value),
        ["temperature"] = (double)(decimal)preset.Contract.Temperature!.Value,
    };

    private static JsonObject Pairs(Preset preset)
    {
        JsonObject pairs = new()
        {
            ["pair_layout"] = preset.Rerank.Layout.ToString()!.ToLowerInvariant(),
            ["query_prefix"] = preset.Rerank.QueryPrefix,
            ["passage_prefix"] = preset.Rerank.PassagePrefix,
            ["append_eos_token"] = preset.Rerank.AppendEosToken,
        };
        if (preset.Rerank.QueryMaxLength is { } query) pairs["query_max_len"] = query;
        if (preset.Rerank.PassageMaxLength is { } passage) pairs["passage_max_len"] = passage;
        if (preset.Rerank.MaxLength is { } length) pairs["rerank_max_len"] = length;
        return pairs;
    }

    private static string Lora(AdapterConfig lora) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"r {lora.R}, alpha {lora.LoraAlpha}, dropout {lora.LoraDropout}, {string.Join(' ', lora.TargetModules)}");
}
