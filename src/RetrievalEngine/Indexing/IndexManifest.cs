using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;
using RetrievalEngine.Compute;
using RetrievalEngine.Encoding;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>
/// <c>manifest.json</c> of an index: the one file that says which others count. It is replaced by an atomic rename, so at every moment the folder holds
/// one good generation. Files that generation g wrote are named <c>vectors-g-n</c>, <c>ids-g-n</c> and <c>deleted-g-n</c> and never change afterwards.
/// </summary>
public sealed partial record IndexManifest
{
    /// <summary>The file's name.</summary>
    public const string FileName = EmbeddingManifest.FileName;

    /// <summary>The tensor of the rows in a shard: [rows, dimensions], for 1-bit storage I8 [rows, ⌈dimensions / 8⌉].</summary>
    public const string RowsTensor = EmbeddingManifest.TensorName;

    /// <summary>The tensor of the rows' scales, F32 [rows], where the storage has them.</summary>
    public const string ScalesTensor = "scales";

    /// <summary>The tensor of the rows' squared lengths, F32 [rows], where the metric is L2.</summary>
    public const string NormsTensor = "squared_norms";

    /// <summary>The tensor of the rows' codes for a quick scan, I8 [rows, dimensions], where the index has them; with <see cref="CodeScalesTensor"/>, <see cref="CodeErrorsTensor"/> F32 [rows].</summary>
    public const string CodesTensor = "codes";

    /// <summary>The tensor of the codes' scales.</summary>
    public const string CodeScalesTensor = "code_scales";

    /// <summary>The tensor of what a score by codes may be too low by, for a query of length 1.</summary>
    public const string CodeErrorsTensor = "code_bounds";

    /// <summary>The tensor in a file of deleted rows.</summary>
    public const string DeletedTensor = "rows";

    /// <summary>The largest number of a generation.</summary>
    public const int LastGeneration = 999_999_999;

    private const string Format = "retrieval-index";
    private const int Version = 1;

    /// <summary>Counts up with each change; 0 for a plan that nothing was written of.</summary>
    public int Generation { get; init; }

    /// <summary>How queries and rows are compared.</summary>
    public required Metric Metric { get; init; }

    /// <summary>How rows are kept.</summary>
    public required VectorStorage Storage { get; init; }

    /// <summary>Whether rows are also kept as int8 codes with error bounds, for a quick scan that proves its results.</summary>
    public bool HasCodes { get; init; }

    /// <summary>Elements of a vector.</summary>
    public required int Dimensions { get; init; }

    /// <summary>How texts became the vectors; null where they came from a file that does not say.</summary>
    public EncodingContract? Contract { get; init; }

    /// <summary>The model's folder, absolute; null where it is not known.</summary>
    public string? ModelPath { get; init; }

    /// <summary>The adapter's folder, absolute; null without one.</summary>
    public string? AdapterPath { get; init; }

    /// <summary>Hash of the embeddings that it was built of; null where it was imported.</summary>
    public string? SourceHash { get; init; }

    /// <summary>The parts, in row order.</summary>
    public IReadOnlyList<IndexShard> Shards { get; init; } = [];

    /// <summary>Vectors in all shards, deleted ones included.</summary>
    public long StoredRows => Shards.Sum(static s => (long)s.Rows);

    /// <summary>Vectors that count.</summary>
    public long Rows => Shards.Sum(static s => (long)s.Rows - (s.Deleted?.Rows ?? 0));

    /// <summary>Bytes of all stored vectors.</summary>
    public long VectorBytes => StoredRows * RowFormat.RowBytes(Storage, Dimensions);

    /// <summary>Whether the vectors come with length 1 for cosines, so that nothing needs to be scaled.</summary>
    public bool ComesNormalized => Metric == Metric.Cosine && Contract is { Normalize: true };

    /// <summary>Count, size and type for people: <c>5,183 vectors of 384 float32 numbers</c>.</summary>
    public string Describe() => string.Create(CultureInfo.InvariantCulture, $"{Rows:N0} vectors of {Dimensions} {StorageName(Storage)} numbers{(HasCodes ? " with int8 codes" : "")}");

    /// <summary>Whether an index of that kind can have <see cref="HasCodes"/>.</summary>
    public static bool CanHaveCodes(VectorStorage storage, Metric metric) => !RowFormat.HasScales(storage) && metric != Metric.L2;

    /// <summary>Whether a file of that name may be one of ours, finished or not.</summary>
    public static bool IsOurs(string fileName) => OurFile().IsMatch(fileName);

    /// <summary>Reads the manifest of <paramref name="folder"/>.</summary>
    /// <exception cref="InputException">There is none, or it is not one of a version known here, or it contradicts itself.</exception>
    public static IndexManifest Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: no such folder");
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new InputException($"{folder} holds no index ({FileName} is missing)");
        return Read(JsonFields.Read(path), folder);
    }

    /// <summary>Whether <paramref name="folder"/> says that it is an index; the rest of what it says may still be wrong.</summary>
    public static bool IsIndex(string folder) =>
        File.Exists(Path.Combine(folder, FileName)) && JsonFields.Read(Path.Combine(folder, FileName)).TextOrNull("format") == Format;

    /// <summary>Writes it into <paramref name="folder"/> in one step.</summary>
    public void Save(string folder) => AtomicFile.Write(Path.Combine(folder, FileName), stream =>
    {
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
        Write(json);
    });

    /// <summary>The word for it in files and options.</summary>
    public static string StorageName(VectorStorage storage) => storage switch
    {
        VectorStorage.Int8 => "int8",
        VectorStorage.Binary => "binary",
        _ => EmbeddingManifest.DTypeName(RowFormat.TypeOf(storage)),
    };

    /// <summary>The storage that a word stands for; null where it stands for none.</summary>
    public static VectorStorage? ParseStorage(string name) => name switch
    {
        "float32" => VectorStorage.Float32,
        "float16" => VectorStorage.Float16,
        "bfloat16" => VectorStorage.BFloat16,
        "int8" => VectorStorage.Int8,
        "binary" => VectorStorage.Binary,
        _ => null,
    };

    /// <summary>The word for it in files and options.</summary>
    public static string MetricName(Metric metric) => metric switch { Metric.Cosine => "cosine", Metric.L2 => "l2", _ => "inner_product" };

    /// <summary>The metric that a word stands for; null where it stands for none.</summary>
    public static Metric? ParseMetric(string name) =>
        name switch { "cosine" => Search.Metric.Cosine, "l2" => Search.Metric.L2, "inner_product" => Search.Metric.InnerProduct, _ => null };

    /// <summary>The storage of elements of a float type.</summary>
    public static VectorStorage StorageOf(DType dtype) =>
        dtype switch { DType.F16 => VectorStorage.Float16, DType.BF16 => VectorStorage.BFloat16, _ => VectorStorage.Float32 };

    private static IndexManifest Read(JsonFields json, string folder)
    {
        if (json.TextOrNull("format") is var format && format != Format)
        {
            throw format == EmbeddingManifest.Format
                ? new InputException($"{folder} holds embeddings where an index is needed; build one with: retrieval index build")
                : json.Error("format", $"is not \"{Format}\"; this is no index");
        }

        int version = json.Int("version", 0, int.MaxValue);
        if (version != Version) throw json.Error("version", $"is {version}, but this program knows {Version}; use the program that wrote it");
        IndexManifest manifest = new()
        {
            Generation = json.Int("generation", 1, LastGeneration),
            Metric = ParseMetric(json.Text("metric")) ?? throw json.Error("metric", "must be inner_product, cosine or l2"),
            Storage = ParseStorage(json.Text("storage")) ?? throw json.Error("storage", "must be float32, float16, bfloat16, int8 or binary"),
            HasCodes = json.TextOrNull("scan_storage") switch
            {
                null => false,
                "int8" => true,
                _ => throw json.Error("scan_storage", "must be int8"),
            },
            Dimensions = json.Int("dimensions", 1, EmbeddingManifest.MaxDimensions),
            Contract = json.ObjectOrNull("contract") is { } contract ? EncodingContract.Read(contract) : null,
            ModelPath = json.TextOrNull("model"),
            AdapterPath = json.TextOrNull("adapter"),
            SourceHash = json.TextOrNull("source_sha256"),
            Shards = ReadShards(json),
        };
        if (manifest.HasCodes && !CanHaveCodes(manifest.Storage, manifest.Metric))
            throw json.Error("scan_storage", "goes with storage float32, float16 or bfloat16 and metric inner_product or cosine");
        if (manifest.Contract is { } made && made.Dimensions != manifest.Dimensions) throw json.Error("dimensions", "is not that of the contract");
        if ((long)json.Number("stored_rows", 0, 1L << 52) != manifest.StoredRows) throw json.Error("stored_rows", "is not the sum of the shards' rows");
        if ((long)json.Number("rows", 0, 1L << 52) != manifest.Rows) throw json.Error("rows", "is not what the shards have less what is deleted");
        return manifest;
    }

    private static IndexShard[] ReadShards(JsonFields json)
    {
        JsonFields[] fields = json.Objects("shards");
        IndexShard[] shards = new IndexShard[fields.Length];
        HashSet<string> names = [];
        for (int i = 0; i < fields.Length; i++)
        {
            JsonFields shard = fields[i];
            int rows = shard.Int("rows", 1, int.MaxValue);
            DeletedRows? deleted = shard.Has("deleted")
                ? new DeletedRows(shard.FileName("deleted", IsOurs), shard.Int("deleted_rows", 1, rows), shard.Text("deleted_sha256"))
                : null;
            shards[i] = new IndexShard(
                shard.FileName("vectors", IsOurs), shard.FileName("ids", IsOurs), rows, shard.Text("vectors_sha256"), shard.Text("ids_sha256"), deleted);
            foreach (string name in FilesOf(shards[i]))
            {
                if (!names.Add(name)) throw shard.Error("vectors", $"or another field names {name}, which is named twice");
            }
        }

        return shards;
    }

    /// <summary>The files of a shard.</summary>
    internal static IEnumerable<string> FilesOf(IndexShard shard) =>
        shard.Deleted is null ? [shard.VectorsFile, shard.IdsFile] : [shard.VectorsFile, shard.IdsFile, shard.Deleted.File];

    private void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("format", Format);
        json.WriteNumber("version", Version);
        json.WriteNumber("generation", Generation);
        json.WriteString("metric", MetricName(Metric));
        json.WriteString("storage", StorageName(Storage));
        if (HasCodes) json.WriteString("scan_storage", StorageName(VectorStorage.Int8));
        json.WriteNumber("dimensions", Dimensions);
        json.WriteNumber("rows", Rows);
        json.WriteNumber("stored_rows", StoredRows);
        if (ModelPath is not null) json.WriteString("model", ModelPath);
        if (AdapterPath is not null) json.WriteString("adapter", AdapterPath);
        if (SourceHash is not null) json.WriteString("source_sha256", SourceHash);
        if (Contract is not null)
        {
            json.WritePropertyName("contract");
            Contract.Write(json);
        }

        json.WriteStartArray("shards");
        foreach (IndexShard shard in Shards)
        {
            json.WriteStartObject();
            json.WriteString("vectors", shard.VectorsFile);
            json.WriteString("ids", shard.IdsFile);
            json.WriteNumber("rows", shard.Rows);
            json.WriteString("vectors_sha256", shard.VectorsHash);
            json.WriteString("ids_sha256", shard.IdsHash);
            if (shard.Deleted is { } deleted)
            {
                json.WriteString("deleted", deleted.File);
                json.WriteNumber("deleted_rows", deleted.Rows);
                json.WriteString("deleted_sha256", deleted.Hash);
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    [GeneratedRegex(@"^(vectors-[0-9]{6,10}-[0-9]{6,10}\.safetensors|ids-[0-9]{6,10}-[0-9]{6,10}\.jsonl|deleted-[0-9]{6,10}-[0-9]{6,10}\.safetensors)\z")]
    private static partial Regex OurFile();
}
