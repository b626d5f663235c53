using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Encoding;

/// <summary>
/// <c>manifest.json</c> of a folder of vectors: the one file that says which others count. It is replaced by an atomic rename, so at every moment the
/// folder holds one good generation. Files of generation g are named <c>vectors-g-n.safetensors</c> and <c>ids-g-n.jsonl</c>: a new generation never
/// touches those of the last.
/// </summary>
public sealed partial record EmbeddingManifest
{
    /// <summary>The file's name.</summary>
    public const string FileName = "manifest.json";

    /// <summary>The tensor's name in each shard.</summary>
    public const string TensorName = "embeddings";

    /// <summary>The most elements a vector may have.</summary>
    public const int MaxDimensions = 1 << 16;

    /// <summary>What the manifest calls itself.</summary>
    internal const string Format = "retrieval-embeddings";

    private const int Version = 1;

    /// <summary>Counts up with each rewriting of the folder.</summary>
    public int Generation { get; init; } = 1;

    /// <summary>Whether all shards are there.</summary>
    public bool Complete { get; init; }

    /// <summary>Which kind of text the rows stand for.</summary>
    public required EncodingSide Side { get; init; }

    /// <summary>How the vectors were made.</summary>
    public required EncodingContract Contract { get; init; }

    /// <summary>Type of the stored elements: F32, F16 or BF16.</summary>
    public required DType DType { get; init; }

    /// <summary>The model's folder, absolute.</summary>
    public required string ModelPath { get; init; }

    /// <summary>The adapter's folder, absolute; null without one.</summary>
    public string? AdapterPath { get; init; }

    /// <summary>What the vectors were made from.</summary>
    public required EmbeddingSource Source { get; init; }

    /// <summary>Rows of every shard but the last.</summary>
    public required int RowsPerShard { get; init; }

    /// <summary>The finished shards, in row order.</summary>
    public IReadOnlyList<EmbeddingShard> Shards { get; init; } = [];

    /// <summary>Vectors in all finished shards.</summary>
    public long Rows => Shards.Sum(static s => (long)s.Rows);

    /// <summary>Bytes of all vectors.</summary>
    public long VectorBytes => Rows * Contract.Dimensions * DType.Size();

    /// <summary>Tokens of the texts in all finished shards.</summary>
    public long Tokens => Shards.Sum(static s => s.Tokens);

    /// <summary>Texts that were cut to the contract's length.</summary>
    public long Truncated => Shards.Sum(static s => (long)s.Truncated);

    /// <summary>Texts without content.</summary>
    public long Empty => Shards.Sum(static s => (long)s.Empty);

    /// <summary>Count, size and type for people: <c>5,183 vectors of 384 float32 numbers</c>.</summary>
    public string Describe() =>
        string.Create(CultureInfo.InvariantCulture, $"{Rows:N0} vectors of {Contract.Dimensions} {DTypeName(DType)} numbers");

    /// <summary>The name of the vectors file of shard <paramref name="number"/>.</summary>
    public string VectorsFile(int number) => string.Create(CultureInfo.InvariantCulture, $"vectors-{Generation:D6}-{number:D6}.safetensors");

    /// <summary>The name of the ids file of shard <paramref name="number"/>.</summary>
    public string IdsFile(int number) => string.Create(CultureInfo.InvariantCulture, $"ids-{Generation:D6}-{number:D6}.jsonl");

    /// <summary>Whether a file of that name may be one of ours, finished or not.</summary>
    public static bool IsOurs(string fileName) => OurFile().IsMatch(fileName);

    /// <summary>Why the unfinished folder <paramref name="other"/> is not a run of this plan, as half a sentence; null where it is.</summary>
    public string? Difference(EmbeddingManifest other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (Contract.Mismatch(other.Contract, "this run", "that folder") is { } mismatch) return mismatch;
        if (Side != other.Side) return $"it holds {SideName(other.Side)} vectors, not {SideName(Side)} vectors";
        if (Source.Hash != other.Source.Hash) return $"it was made from another input ({other.Source.Path} as it was then)";
        if (DType != other.DType) return $"it stores {other.DType}, not {DType}";
        if (RowsPerShard != other.RowsPerShard)
            return $"its shards have {other.RowsPerShard} rows, not {RowsPerShard}";
        return null;
    }

    /// <summary>Reads the manifest of <paramref name="folder"/>.</summary>
    /// <exception cref="InputException">There is none, or it is not one of a version known here, or it contradicts itself.</exception>
    public static EmbeddingManifest Load(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: no such folder");
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path)) throw new InputException($"{folder} holds no embeddings ({FileName} is missing)");
        return Read(JsonFields.Read(path));
    }

    /// <summary>Writes it into <paramref name="folder"/> in one step.</summary>
    public void Save(string folder) => AtomicFile.Write(Path.Combine(folder, FileName), stream =>
    {
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
        Write(json);
    });

    /// <summary>The word for it in files and sentences.</summary>
    public static string SideName(EncodingSide side) => side == EncodingSide.Query ? "query" : "passage";

    /// <summary>The word for it in files and options.</summary>
    public static string DTypeName(DType dtype) => dtype switch { DType.F16 => "float16", DType.BF16 => "bfloat16", _ => "float32" };

    /// <summary>The storage type that a word stands for; null where it stands for none.</summary>
    public static DType? ParseDType(string name) =>
        name switch { "float32" => DType.F32, "float16" => DType.F16, "bfloat16" => DType.BF16, _ => null };

    /// <summary>Reads the object that <see cref="Save"/> writes.</summary>
    internal static EmbeddingManifest Read(JsonFields json)
    {
        if (json.TextOrNull("format") is var format && format != Format)
            throw json.Error("format", $"is not \"{Format}\"; these are no embeddings; name the folder that retrieval encode wrote");
        int version = json.Int("version", 0, int.MaxValue);
        if (version != Version) throw json.Error("version", $"is {version}, but this program knows {Version}; use the program that wrote it");
        JsonFields source = json.ObjectOrNull("source") ?? throw json.Error("source", "is missing");
        EmbeddingManifest manifest = new()
        {
            Generation = json.Int("generation", 1, 999_999),
            Complete = json.Flag("complete"),
            Side = json.Text("side") switch
            {
                "query" => EncodingSide.Query,
                "passage" => EncodingSide.Passage,
                _ => throw json.Error("side", "must be query or passage"),
            },
            Contract = EncodingContract.Read(json.ObjectOrNull("contract") ?? throw json.Error("contract", "is missing")),
            DType = ParseDType(json.Text("dtype")) ?? throw json.Error("dtype", "must be float32, float16 or bfloat16"),
            ModelPath = json.Text("model"),
            AdapterPath = json.TextOrNull("adapter"),
            Source = new EmbeddingSource(source.Text("path"), source.Text("sha256"), (long)source.Number("rows", 0, 1L << 52)),
            RowsPerShard = json.Int("rows_per_shard", 1, int.MaxValue),
            Shards = ReadShards(json),
        };
        if (json.Int("dimensions", 1, MaxDimensions) != manifest.Contract.Dimensions) throw json.Error("dimensions", "is not that of the contract");
        if ((long)json.Number("rows", 0, 1L << 52) != manifest.Rows) throw json.Error("rows", "is not the sum of the shards' rows");
        if (manifest.Complete && manifest.Rows != manifest.Source.Rows)
            throw json.Error("complete", "is true although rows of the source are missing");
        return manifest;
    }

    private static EmbeddingShard[] ReadShards(JsonFields json)
    {
        JsonFields[] fields = json.ObjectsOrNull("shards") ?? throw json.Error("shards", "is missing");
        EmbeddingShard[] shards = new EmbeddingShard[fields.Length];
        HashSet<string> names = [];
        for (int i = 0; i < fields.Length; i++)
        {
            JsonFields shard = fields[i];
            int rows = shard.Int("rows", 1, int.MaxValue);
            shards[i] = new EmbeddingShard(
                shard.FileName("vectors", IsOurs), shard.FileName("ids", IsOurs), rows, shard.Text("vectors_sha256"), shard.Text("ids_sha256"),
                (long)shard.Number("tokens", 0, 0, 1L << 52), shard.IntOrNull("truncated", 0, rows) ?? 0, shard.IntOrNull("empty", 0, rows) ?? 0);
            if (!names.Add(shards[i].VectorsFile) || !names.Add(shards[i].IdsFile))
                throw fields[i].Error("vectors", "names a file that another shard has");
        }

        return shards;
    }

    private void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("format", Format);
        json.WriteNumber("version", Version);
        json.WriteNumber("generation", Generation);
        json.WriteBoolean("complete", Complete);
        json.WriteString("side", SideName(Side));
        json.WriteString("dtype", DTypeName(DType));
        json.WriteNumber("dimensions", Contract.Dimensions);
        json.WriteNumber("rows", Rows);
        json.WriteString("model", ModelPath);
        if (AdapterPath is not null) json.WriteString("adapter", AdapterPath);
        json.WritePropertyName("contract");
        Contract.Write(json);
        json.WriteStartObject("source");
        json.WriteString("path", Source.Path);
        json.WriteString("sha256", Source.Hash);
        json.WriteNumber("rows", Source.Rows);
        json.WriteEndObject();
        json.WriteNumber("rows_per_shard", RowsPerShard);
        json.WriteStartArray("shards");
        foreach (EmbeddingShard shard in Shards)
        {
            json.WriteStartObject();
            json.WriteString("vectors", shard.VectorsFile);
            json.WriteString("ids", shard.IdsFile);
            json.WriteNumber("rows", shard.Rows);
            json.WriteString("vectors_sha256", shard.VectorsHash);
            json.WriteString("ids_sha256", shard.IdsHash);
            json.WriteNumber("tokens", shard.Tokens);
            json.WriteNumber("truncated", shard.Truncated);
            json.WriteNumber("empty", shard.Empty);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    [GeneratedRegex(@"^(vectors-[0-9]{6,10}-[0-9]{6,10}\.safetensors|ids-[0-9]{6,10}-[0-9]{6,10}\.jsonl)\z")]
    private static partial Regex OurFile();
}
