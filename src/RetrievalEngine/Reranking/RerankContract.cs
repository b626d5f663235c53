using System;
using System.IO;
using System.Text.Json.Nodes;
using RetrievalEngine.Text;

namespace RetrievalEngine.Reranking;

/// <summary>
/// Everything that turns a query and a passage into the sequence that a reranker scores, in one record that training writes beside the adapter or model:
/// <c>prefix + query</c> and <c>prefix + strip(title + " " + text)</c>, put together as <see cref="Layout"/> says and cut to length.
/// </summary>
public sealed record RerankContract
{
    /// <summary>The file's name in the folder of a model or an adapter.</summary>
    public const string FileName = "rerank_contract.json";

    private const int Version = 1, LongestSequence = 1 << 20;
    private static readonly System.Text.Json.JsonSerializerOptions s_indented = new() { WriteIndented = true };

    /// <summary>How the two texts become one sequence.</summary>
    public required PairLayout Layout { get; init; }

    /// <summary>Put before a query as it stands, space included.</summary>
    public string QueryPrefix { get; init; } = "";

    /// <summary>Put before a passage as it stands, space included.</summary>
    public string PassagePrefix { get; init; } = "";

    /// <summary>Whether white space around the joined passage (without its prefix) is removed.</summary>
    public bool Strip { get; init; } = true;

    /// <summary>Whether hyphens in a title become spaces and the title is stripped, as Tevatron does since 2024.</summary>
    public bool HyphensToSpaces { get; init; }

    /// <summary>Whether the tokenizer's own template ([CLS] … [SEP], &lt;s&gt; …) is applied.</summary>
    public bool AddSpecialTokens { get; init; } = true;

    /// <summary>Whether EOS is appended by id at the end; not for <see cref="PairLayout.Pair"/>.</summary>
    public bool AppendEosToken { get; init; }

    /// <summary>The id that <see cref="AppendEosToken"/> appends; null where it does not.</summary>
    public int? EosTokenId { get; init; }

    /// <summary>Most tokens of a query with its special ones, for <see cref="PairLayout.Segments"/>; null otherwise.</summary>
    public int? QueryMaxLength { get; init; }

    /// <summary>Most tokens of a passage with its special ones, for <see cref="PairLayout.Segments"/>; null otherwise.</summary>
    public int? PassageMaxLength { get; init; }

    /// <summary>Most tokens of the whole sequence. A pair loses tokens of its longer text, a joined string those at its end.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Which end of a text that is too long goes.</summary>
    public TruncationSide TruncationSide { get; init; }

    /// <summary>The tokenizer's content hash.</summary>
    public string TokenizerHash { get; init; } = "";

    /// <summary>Content hash of the base model's weight files.</summary>
    public string WeightsHash { get; init; } = "";

    /// <summary>Content hash of the adapter; null without one.</summary>
    public string? AdapterHash { get; init; }

    /// <summary>What the tokenizer sees of a query.</summary>
    public string FormatQuery(string text) => QueryPrefix + text;

    /// <summary>What the tokenizer sees of a passage.</summary>
    public string FormatPassage(string title, string text)
    {
        ArgumentNullException.ThrowIfNull(title);
        string joined = $"{(HyphensToSpaces ? title.Replace('-', ' ').Trim() : title)} {text}";
        return PassagePrefix + (Strip ? joined.Trim() : joined);
    }

    /// <summary>Reads the file <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is not a contract of a version known here.</exception>
    public static RerankContract Load(string path)
    {
        JsonFields json = JsonFields.Read(path);
        int version = json.Int("version", 0, int.MaxValue);
        if (version != Version) throw json.Error("version", $"is {version}, but this program knows {Version}; use the program that wrote it");
        return new RerankContract
        {
            Layout = Enum.TryParse(json.Text("layout"), ignoreCase: true, out PairLayout layout) && Enum.IsDefined(layout)
                ? layout : throw json.Error("layout", "must be pair, segments or joined"),
            QueryPrefix = json.Text("query_prefix"),
            PassagePrefix = json.Text("passage_prefix"),
            Strip = json.Flag("strip"),
            HyphensToSpaces = json.Flag("hyphens_to_spaces"),
            AddSpecialTokens = json.Flag("add_special_tokens"),
            AppendEosToken = json.Flag("append_eos_token"),
            EosTokenId = json.IntOrNull("eos_token_id", 0, int.MaxValue),
            QueryMaxLength = json.IntOrNull("query_max_len", 1, LongestSequence),
            PassageMaxLength = json.IntOrNull("passage_max_len", 1, LongestSequence),
            MaxLength = json.Int("rerank_max_len", 1, LongestSequence),
            TruncationSide = json.Text("truncation_side") switch
            {
                "right" => TruncationSide.Right,
                "left" => TruncationSide.Left,
                _ => throw json.Error("truncation_side", "must be right or left"),
            },
            TokenizerHash = json.Text("tokenizer_hash"),
            WeightsHash = json.Text("weights_hash"),
            AdapterHash = json.TextOrNull("adapter_hash"),
        };
    }

    /// <summary>Writes it as <see cref="FileName"/> into <paramref name="folder"/>.</summary>
    public void Save(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        AtomicFile.WriteText(Path.Combine(folder, FileName), ToJson().ToJsonString(s_indented) + "\n");
    }

    /// <summary>It as a JSON object.</summary>
    public JsonObject ToJson() => new()
    {
        ["version"] = Version,
        ["layout"] = Layout.ToString().ToLowerInvariant(),
        ["query_prefix"] = QueryPrefix,
        ["passage_prefix"] = PassagePrefix,
        ["strip"] = Strip,
        ["hyphens_to_spaces"] = HyphensToSpaces,
        ["add_special_tokens"] = AddSpecialTokens,
        ["append_eos_token"] = AppendEosToken,
        ["eos_token_id"] = EosTokenId,
        ["query_max_len"] = QueryMaxLength,
        ["passage_max_len"] = PassageMaxLength,
        ["rerank_max_len"] = MaxLength,
        ["truncation_side"] = TruncationSide == TruncationSide.Left ? "left" : "right",
        ["tokenizer_hash"] = TokenizerHash,
        ["weights_hash"] = WeightsHash,
        ["adapter_hash"] = AdapterHash,
    };
}
