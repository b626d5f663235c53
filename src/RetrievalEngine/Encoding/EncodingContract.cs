using System;
using System.Buffers;
using System.Globalization;
using System.IO;
using System.Text.Json;
using System.Threading;
using RetrievalEngine.Compute;
using RetrievalEngine.Text;

namespace RetrievalEngine.Encoding;

/// <summary>
/// Everything that turns a text into a vector, in one record that training writes beside the adapter and that embeddings and index carry:
/// <c>prefix + text</c> for a query, <c>prefix + strip(title + joiner + text)</c> for a passage → token ids, cut to the length of the side
/// (with EOS: cut to one less, then EOS added by id) → model → pooling → the first <see cref="Dimensions"/> elements → normalisation.
/// Two sets of vectors can be compared only where this is the same: <see cref="Mismatch"/>.
/// </summary>
public sealed record EncodingContract
{
    /// <summary>The file's name in the folder of a model or an adapter.</summary>
    public const string FileName = "encoding_contract.json";

    /// <summary>The longest sequence that is accepted anywhere.</summary>
    public const int LongestSequence = 1 << 20;

    private const int Version = 1;

    /// <summary>Put before a query as it stands, space included.</summary>
    public string QueryPrefix { get; init; } = "";

    /// <summary>Put before a passage as it stands, space included.</summary>
    public string PassagePrefix { get; init; } = "";

    /// <summary>Between title and text of a passage.</summary>
    public string TitleJoiner { get; init; } = " ";

    /// <summary>Whether white space around the joined passage (without its prefix) is removed; queries stay as they are.</summary>
    public bool Strip { get; init; } = true;

    /// <summary>Whether the tokenizer's own template ([CLS] … [SEP], &lt;s&gt; …) is applied.</summary>
    public required bool AddSpecialTokens { get; init; }

    /// <summary>Whether EOS is appended by id behind what the tokenizer gave.</summary>
    public required bool AppendEosToken { get; init; }

    /// <summary>The id that <see cref="AppendEosToken"/> appends; null where it does not.</summary>
    public int? EosTokenId { get; init; }

    /// <summary>Most tokens of a query, special ones included.</summary>
    public required int QueryMaxLength { get; init; }

    /// <summary>Most tokens of a passage, special ones included.</summary>
    public required int PassageMaxLength { get; init; }

    /// <summary>Which end of a text that is too long goes.</summary>
    public TruncationSide TruncationSide { get; init; }

    /// <summary>How hidden states become one vector.</summary>
    public required Pooling Pooling { get; init; }

    /// <summary>Whether vectors are scaled to length 1.</summary>
    public required bool Normalize { get; init; }

    /// <summary>Elements of a vector: the model's hidden size, or fewer (Matryoshka: cut first, then normalised).</summary>
    public required int Dimensions { get; init; }

    /// <summary>How two vectors are compared.</summary>
    public Similarity Similarity { get; init; } = Similarity.Cosine;

    /// <summary>What training divided the similarities by; null where unknown. It does not change vectors or rankings.</summary>
    public float? Temperature { get; init; }

    /// <summary>The tokenizer's content hash.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary><see cref="ContentHash"/> of the base model's weight files.</summary>
    public required string WeightsHash { get; init; }

    /// <summary><see cref="ContentHash"/> of the adapter's configuration and weights; null without an adapter.</summary>
    public string? AdapterHash { get; init; }

    /// <summary>Most tokens of a text on <paramref name="side"/>.</summary>
    public int MaxLength(EncodingSide side) => side == EncodingSide.Query ? QueryMaxLength : PassageMaxLength;

    /// <summary>What the tokenizer sees of a query: its own <paramref name="prompt"/>, or where it has none the prefix of all, and the text.</summary>
    public string FormatQuery(string text, string? prompt = null) => (prompt ?? QueryPrefix) + text;

    /// <summary>What the tokenizer sees of a passage.</summary>
    public string FormatPassage(string? title, string text)
    {
        string joined = title is null ? text : title + TitleJoiner + text;
        return PassagePrefix + (Strip ? joined.Trim() : joined);
    }

    /// <summary>
    /// Null where vectors of the two contracts can be compared; otherwise the first difference as half a sentence:
    /// <c>pooling is mean in the index but last in the query embeddings</c>.
    /// </summary>
    public string? Mismatch(EncodingContract other, string where, string otherWhere)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Differ("base weights hash", Short(WeightsHash), Short(other.WeightsHash))
            ?? Differ("adapter hash", Short(AdapterHash), Short(other.AdapterHash))
            ?? Differ("tokenizer hash", Short(TokenizerHash), Short(other.TokenizerHash))
            ?? Differ("pooling", PoolingName(Pooling), PoolingName(other.Pooling))
            ?? Differ("normalisation", OnOff(Normalize), OnOff(other.Normalize))
            ?? Differ("dimensions", Text(Dimensions), Text(other.Dimensions))
            ?? Differ("similarity", SimilarityName(Similarity), SimilarityName(other.Similarity))
            ?? Differ("add_special_tokens", OnOff(AddSpecialTokens), OnOff(other.AddSpecialTokens))
            ?? Differ("append_eos_token", OnOff(AppendEosToken), OnOff(other.AppendEosToken))
            ?? Differ("eos_token_id", Text(EosTokenId), Text(other.EosTokenId))
            ?? Differ("query prefix", Quote(QueryPrefix), Quote(other.QueryPrefix))
            ?? Differ("passage prefix", Quote(PassagePrefix), Quote(other.PassagePrefix))
            ?? Differ("query_max_len", Text(QueryMaxLength), Text(other.QueryMaxLength))
            ?? Differ("passage_max_len", Text(PassageMaxLength), Text(other.PassageMaxLength))
            ?? Differ("truncation side", SideName(TruncationSide), SideName(other.TruncationSide))
            ?? Differ("title joiner", Quote(TitleJoiner), Quote(other.TitleJoiner))
            ?? Differ("strip rule", OnOff(Strip), OnOff(other.Strip));

        string? Differ(string field, string mine, string theirs) =>
            string.Equals(mine, theirs, StringComparison.Ordinal) ? null : $"{field} is {mine} in {where} but {theirs} in {otherWhere}";
    }

    /// <summary>
    /// How texts become vectors with the model in <paramref name="modelFolder"/> and the adapter in <paramref name="adapterFolder"/>: what training
    /// wrote there (<see cref="FileName"/>), else what a sentence-transformers folder says, else what the model's family is used with; with
    /// <paramref name="overrides"/> on top, and with the content hashes of tokenizer, weights and adapter, for which all weight files are read once.
    /// </summary>
    /// <exception cref="InputException">A file is missing or damaged, or the weights are not those that the contract was written for.</exception>
    public static EncodingContract For(string modelFolder, string? adapterFolder = null, ContractOverrides? overrides = null,
        IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default) =>
        ContractResolver.Resolve(modelFolder, adapterFolder, overrides ?? new ContractOverrides(), progress, cancellation);

    /// <summary>
    /// The same without the hashes of weights and adapter, for what concerns texts and tokens only: it must not be stored or compared.
    /// </summary>
    public static EncodingContract RulesFor(string modelFolder, string? adapterFolder = null, ContractOverrides? overrides = null) =>
        ContractResolver.Rules(modelFolder, adapterFolder, overrides ?? new ContractOverrides());

    /// <summary>Reads the file <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is not a contract of a version known here.</exception>
    public static EncodingContract Load(string path) => Read(JsonFields.Read(path));

    /// <summary>Writes it as <see cref="FileName"/> into <paramref name="folder"/>.</summary>
    public void Save(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        AtomicFile.WriteText(Path.Combine(folder, FileName), ToJson() + "\n");
    }

    /// <summary>It as an indented JSON object.</summary>
    public string ToJson()
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter json = new(buffer, new JsonWriterOptions { Indented = true })) Write(json);
        return System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Reads the object that <see cref="Write"/> wrote.</summary>
    internal static EncodingContract Read(JsonFields json)
    {
        int version = json.Int("version", 0, int.MaxValue);
        if (version != Version) throw json.Error("version", $"is {version}, but this program knows {Version}; use the program that wrote it");
        return new EncodingContract
        {
            QueryPrefix = json.Text("query_prefix"),
            PassagePrefix = json.Text("passage_prefix"),
            TitleJoiner = json.Text("title_joiner"),
            Strip = json.Flag("strip"),
            AddSpecialTokens = json.Flag("add_special_tokens"),
            AppendEosToken = json.Flag("append_eos_token"),
            EosTokenId = json.IntOrNull("eos_token_id", 0, int.MaxValue),
            QueryMaxLength = json.Int("query_max_len", 1, LongestSequence),
            PassageMaxLength = json.Int("passage_max_len", 1, LongestSequence),
            TruncationSide = json.TextOrNull("truncation_side") switch
            {
                null or "right" => TruncationSide.Right,
                "left" => TruncationSide.Left,
                _ => throw json.Error("truncation_side", "must be right or left"),
            },
            Pooling = ParsePooling(json.Text("pooling")) ?? throw json.Error("pooling", "must be last, cls, mean, weightedmean or max"),
            Normalize = json.Flag("normalize"),
            Dimensions = json.Int("dimensions", 1, EmbeddingManifest.MaxDimensions),
            Similarity = ParseSimilarity(json.Text("similarity")) ?? throw json.Error("similarity", "must be cosine or dot"),
            Temperature = json.Has("temperature") ? (float)json.Number("temperature", 1e-6, 1e6) : null,
            TokenizerHash = json.Text("tokenizer_hash"),
            WeightsHash = json.Text("weights_hash"),
            AdapterHash = json.TextOrNull("adapter_hash"),
        };
    }

    /// <summary>Writes it as one JSON object.</summary>
    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteNumber("version", Version);
        json.WriteString("query_prefix", QueryPrefix);
        json.WriteString("passage_prefix", PassagePrefix);
        json.WriteString("title_joiner", TitleJoiner);
        json.WriteBoolean("strip", Strip);
        json.WriteBoolean("add_special_tokens", AddSpecialTokens);
        json.WriteBoolean("append_eos_token", AppendEosToken);
        if (EosTokenId is { } eos) json.WriteNumber("eos_token_id", eos);
        json.WriteNumber("query_max_len", QueryMaxLength);
        json.WriteNumber("passage_max_len", PassageMaxLength);
        json.WriteString("truncation_side", SideName(TruncationSide));
        json.WriteString("pooling", PoolingName(Pooling));
        json.WriteBoolean("normalize", Normalize);
        json.WriteNumber("dimensions", Dimensions);
        json.WriteString("similarity", SimilarityName(Similarity));
        if (Temperature is { } temperature) json.WriteNumber("temperature", temperature);
        json.WriteString("tokenizer_hash", TokenizerHash);
        json.WriteString("weights_hash", WeightsHash);
        if (AdapterHash is { } adapter) json.WriteString("adapter_hash", adapter);
        json.WriteEndObject();
    }

    /// <summary>The word for it in files and options.</summary>
    public static string PoolingName(Pooling pooling) => pooling switch
    {
        Pooling.Last => "last",
        Pooling.Cls => "cls",
        Pooling.Mean => "mean",
        Pooling.WeightedMean => "weightedmean",
        _ => "max",
    };

    /// <summary>The pooling that a word stands for (the names of Tevatron and sentence-transformers); null where it stands for none.</summary>
    public static Pooling? ParsePooling(string name) => name switch
    {
        "last" or "eos" or "lasttoken" or "last_token" => Compute.Pooling.Last,
        "cls" or "first" => Compute.Pooling.Cls,
        "mean" or "avg" => Compute.Pooling.Mean,
        "weightedmean" => Compute.Pooling.WeightedMean,
        "max" => Compute.Pooling.Max,
        _ => null,
    };

    private static string SideName(TruncationSide side) => side == TruncationSide.Left ? "left" : "right";

    private static string SimilarityName(Similarity similarity) => similarity == Similarity.Cosine ? "cosine" : "dot";

    private static Similarity? ParseSimilarity(string name) => name switch { "cosine" => Similarity.Cosine, "dot" => Similarity.Dot, _ => null };

    private static string Short(string? hash) => hash is null ? "none" : hash.Length <= 12 ? hash : string.Concat(hash.AsSpan(0, 12), "…");

    private static string OnOff(bool value) => value ? "on" : "off";

    private static string Text(int? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "none";

    private static string Quote(string text) => $"\"{text}\"";
}
