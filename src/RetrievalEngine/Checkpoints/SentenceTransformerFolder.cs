using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// What a sentence-transformers folder says about turning texts into vectors, in the layout that most published folders have
/// (<c>pooling_mode_mean_tokens</c>,
/// <c>max_seq_length</c>) and in the one that version 6 writes (<c>pooling_mode</c>). What cannot be done is refused by name.
/// </summary>
/// <param name="Pooling">How hidden states become one vector.</param>
/// <param name="Normalize">Whether the folder has a Normalize module.</param>
/// <param name="MaxSeqLength">Most tokens of a text; null where the folder leaves it to the tokenizer.</param>
/// <param name="QueryPrompt">What stands before a query.</param>
/// <param name="PassagePrompt">What stands before a passage.</param>
/// <param name="UsesDotProduct">Whether vectors are compared by inner product as they are, not by cosine.</param>
public sealed record SentenceTransformerFolder(
    Pooling Pooling, bool Normalize, int? MaxSeqLength, string QueryPrompt, string PassagePrompt, bool UsesDotProduct)
{
    /// <summary>The file that makes a folder one of sentence-transformers.</summary>
    public const string ModulesFile = "modules.json";

    /// <summary>What a vector passes through between pooling and normalisation.</summary>
    public IReadOnlyList<DenseModule> Dense { get; init; } = [];

    private const int LongestText = 1 << 20;
    private static readonly string[] s_passagePrompts = ["document", "passage", "corpus"];
    private static readonly (string Field, Pooling? Pooling)[] s_olderPoolings =
    [
        ("pooling_mode_cls_token", Compute.Pooling.Cls), ("pooling_mode_mean_tokens", Compute.Pooling.Mean),
            ("pooling_mode_lasttoken", Compute.Pooling.Last),
        ("pooling_mode_max_tokens", Compute.Pooling.Max), ("pooling_mode_weightedmean_tokens", Compute.Pooling.WeightedMean),
        ("pooling_mode_mean_sqrt_len_tokens", null),
    ];

    /// <summary>Reads <paramref name="folder"/>; null where it has no <see cref="ModulesFile"/>.</summary>
    /// <exception cref="InputException">A file is damaged, or asks for something that cannot be done.</exception>
    public static SentenceTransformerFolder? Find(string folder)
    {
        string path = Path.Combine(folder, ModulesFile);
        if (!File.Exists(path)) return null;
        Pooling? pooling = null;
        bool normalize = false;
        List<DenseModule> dense = [];
        foreach (JsonFields module in Modules(path))
        {
            string type = module.Text("type"), at = module.TextOrNull("path") ?? "";
            switch (type[(type.LastIndexOf('.') + 1)..])
            {
                case "Transformer" when at.Length == 0:
                    break;
                case "Pooling":
                    pooling = ReadPooling(Path.Combine(folder, FolderOf(at, module), "config.json"));
                    break;
                case "Dense" when pooling is not null && !normalize:
                    dense.Add(DenseModule.Read(folder, FolderOf(at, module)));
                    break;
                case "Normalize":
                    normalize = true;
                    break;
                default:
                    throw module.Error("type",
                        $"is {type} (path \"{at}\"), which is not supported; known, in this order: Transformer in the folder itself, Pooling, Dense, Normalize");
            }
        }

        (string query, string passage, bool dot) = ReadPrompts(folder);
        SentenceTransformerFolder found = new(
            pooling ?? throw new InputException($"{path}: there is no Pooling module"), normalize, ReadMaxLength(folder), query, passage, dot);
        return dense.Count == 0 ? found : found with { Dense = dense };
    }

    /// <summary>The folders within <paramref name="folder"/> that its modules lie in; none where it has no <see cref="ModulesFile"/>.</summary>
    /// <exception cref="InputException">The file is damaged, or names something else.</exception>
    public static IReadOnlyList<string> ModuleFolders(string folder)
    {
        string path = Path.Combine(folder, ModulesFile);
        return File.Exists(path) ? [.. Modules(path).Where(module => module.TextOrNull("path") is { Length: > 0 }).Select(module => FolderOf(module.Text("path"), module))] : [];
    }

    private static IEnumerable<JsonFields> Modules(string path)
    {
        JsonElement modules = JsonFields.ParseElement(JsonFields.ReadBytes(path), path);
        if (modules.ValueKind != JsonValueKind.Array)
            throw new InputException($"{path}: a JSON array of modules is needed, not {JsonFields.Kind(modules)}");
        return modules.EnumerateArray().Select(element => JsonFields.Object(element, path));
    }

    private static string FolderOf(string module, JsonFields modules)
    {
        if (module != Path.GetFileName(module) || module is "." or "..")
            throw modules.Error("path", $"names \"{module}\", which is no folder of the model");
        return module;
    }

    private static Pooling ReadPooling(string path)
    {
        JsonFields json = JsonFields.Read(path);
        if (!json.Flag("include_prompt", true)) throw json.Error("include_prompt", "is false, which is not supported: prompts count as text here");
        if (json.Has("pooling_mode"))
        {
            return json.Text("pooling_mode") switch
            {
                "mean" => Compute.Pooling.Mean,
                "cls" => Compute.Pooling.Cls,
                "lasttoken" => Compute.Pooling.Last,
                "weightedmean" => Compute.Pooling.WeightedMean,
                "max" => Compute.Pooling.Max,
                string other => throw json.Error("pooling_mode", $"is {other}, which is not supported; known: mean, cls, lasttoken, weightedmean, max"),
            };
        }

        (string Field, Pooling? Pooling)[] set = [.. s_olderPoolings.Where(mode => json.Flag(mode.Field, false))];
        if (set.Length != 1) throw new InputException($"{path}: exactly one pooling mode must be true, not {set.Length}");
        return set[0].Pooling ?? throw json.Error(set[0].Field, "is true, which is not supported; known: cls, mean, lasttoken, weightedmean, max");
    }

    private static int? ReadMaxLength(string folder)
    {
        foreach (string path in Directory.EnumerateFiles(folder, "sentence_*_config.json").Order(StringComparer.Ordinal))
        {
            JsonFields json = JsonFields.Read(path);
            if (json.Flag("do_lower_case", false))
                throw json.Error("do_lower_case", "is true, which is not supported; a tokenizer that lower-cases does so by itself");
            if (json.IntOrNull("max_seq_length", 1, LongestText) is { } length) return length;
        }

        return null;
    }

    private static (string Query, string Passage, bool Dot) ReadPrompts(string folder)
    {
        string path = Path.Combine(folder, "config_sentence_transformers.json");
        if (!File.Exists(path)) return ("", "", false);
        JsonFields json = JsonFields.Read(path);
        bool dot = json.TextOrNull("similarity_fn_name") switch
        {
            null or "cosine" => false,
            "dot" => true,
            string other => throw json.Error("similarity_fn_name", $"is {other}, which is not supported; known: cosine, dot"),
        };
        if (json.ObjectOrNull("prompts") is not { } prompts) return ("", "", dot);
        string otherwise = json.TextOrNull("default_prompt_name") is { } name ? prompts.TextOrNull(name) ?? "" : "";
        string? passage = s_passagePrompts.Select(prompts.TextOrNull).FirstOrDefault(static text => text is not null);
        return (prompts.TextOrNull("query") ?? otherwise, passage ?? otherwise, dot);
    }
}
