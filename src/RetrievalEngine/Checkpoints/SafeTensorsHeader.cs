using System;
using System.Collections.Generic;
using System.Text.Json;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// The JSON header of a safetensors file, checked against the size of the file: every byte behind the header belongs to exactly one tensor.
/// </summary>
internal sealed class SafeTensorsHeader
{
    /// <summary>The longest header that the format allows.</summary>
    public const int MaxLength = 100_000_000;

    private const int MaxRank = 4;
    private readonly string _path;

    private SafeTensorsHeader(string path) => _path = path;

    /// <summary>By name, in file order.</summary>
    public Dictionary<string, StoredTensor> Tensors { get; } = new(StringComparer.Ordinal);

    /// <summary>The strings under <c>__metadata__</c>.</summary>
    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>Parses <paramref name="json"/>, the header of a file of <paramref name="fileLength"/> bytes.</summary>
    public static SafeTensorsHeader Parse(ReadOnlySpan<byte> json, string path, long fileLength)
    {
        SafeTensorsHeader header = new(path);
        try
        {
            Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = 8 });
            header.ReadTensors(ref reader, sizeof(ulong) + json.Length);
            if (reader.Read()) throw header.Bad("something follows the JSON object");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: a string that is not valid Unicode.
            throw new InputException($"{path}: the safetensors header is not valid JSON; this is no safetensors file, or it is damaged", e);
        }

        header.CheckLayout(sizeof(ulong) + json.Length, fileLength);
        return header;
    }

    private void ReadTensors(ref Utf8JsonReader reader, long dataStart)
    {
        Expect(ref reader, JsonTokenType.StartObject, "the header must be a JSON object");
        bool sawMetadata = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            if (name == "__metadata__")
            {
                if (sawMetadata) throw Bad("\"__metadata__\" is given twice");
                sawMetadata = true;
                ReadMetadata(ref reader);
                continue;
            }

            StoredTensor tensor = ReadTensor(ref reader, name, dataStart);
            if (!Tensors.TryAdd(name, tensor)) throw Bad($"tensor \"{name}\" is given twice");
        }
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartObject, "\"__metadata__\" must be an object");
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            Expect(ref reader, JsonTokenType.String, $"metadata \"{key}\" must be a string");
            if (!Metadata.TryAdd(key, reader.GetString()!)) throw Bad($"metadata \"{key}\" is given twice");
        }
    }

    private StoredTensor ReadTensor(ref Utf8JsonReader reader, string name, long dataStart)
    {
        Expect(ref reader, JsonTokenType.StartObject, $"tensor \"{name}\" must be described by an object");
        string? type = null;
        long[]? sizes = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = reader.GetString()!;
            if ((field == "dtype" && type is not null) || (field == "shape" && sizes is not null) || (field == "data_offsets" && offsets is not null))
                throw Bad($"tensor \"{name}\": \"{field}\" is given twice");
            switch (field)
            {
                case "dtype":
                    Expect(ref reader, JsonTokenType.String, $"tensor \"{name}\": \"dtype\" must be a string");
                    type = reader.GetString()!;
                    break;
                case "shape":
                    sizes = ReadNumbers(ref reader, name, field, MaxRank);
                    break;
                case "data_offsets":
                    offsets = ReadNumbers(ref reader, name, field, 2);
                    if (offsets.Length != 2) throw Bad($"tensor \"{name}\": \"data_offsets\" must be two numbers");
                    break;
                default:
                    throw Bad($"tensor \"{name}\": unknown field \"{field}\"");
            }
        }

        string? missing = type is null ? "dtype" : sizes is null ? "shape" : offsets is null ? "data_offsets" : null;
        if (missing is not null) throw Bad($"tensor \"{name}\": \"{missing}\" is missing");
        int elementSize = TensorTypes.Size(type!);
        if (elementSize == 0) throw Bad($"tensor \"{name}\" has the type \"{type}\", which this program does not know");
        Int128 bytes = elementSize;
        foreach (long size in sizes!)
        {
            bytes *= size;
            // 2^62 is what Shape takes; compared after each factor, for the product of four could wrap around.
            if (bytes > 1L << 62) throw Bad($"tensor \"{name}\": a shape of [{string.Join(", ", sizes)}] cannot be");
        }

        long begin = offsets![0], end = offsets[1];
        if (begin > end) throw Bad($"tensor \"{name}\": begins at byte {begin}, behind its end {end}");
        if (bytes != end - begin)
            throw Bad($"tensor \"{name}\": {type} [{string.Join(", ", sizes)}] takes {bytes} bytes but \"data_offsets\" give it {end - begin}");
        if (begin > long.MaxValue / 2) throw Bad($"tensor \"{name}\": begins at byte {begin}");
        return new StoredTensor(name, type!, new Shape(sizes), dataStart + begin, end - begin);
    }

    private long[] ReadNumbers(ref Utf8JsonReader reader, string name, string field, int maxCount)
    {
        Expect(ref reader, JsonTokenType.StartArray, $"tensor \"{name}\": \"{field}\" must be an array");
        List<long> numbers = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0)
                throw Bad($"tensor \"{name}\": \"{field}\" must hold whole numbers from 0 on");
            if (numbers.Count == maxCount) throw Bad($"tensor \"{name}\": \"{field}\" has more than {maxCount} numbers");
            numbers.Add(number);
        }

        return [.. numbers];
    }

    private void CheckLayout(long dataStart, long fileLength)
    {
        StoredTensor[] byOffset = [.. Tensors.Values];
        // Tensors without elements share their offset with a neighbour: the shorter first.
        Array.Sort(byOffset, (a, b) => a.Offset != b.Offset ? a.Offset.CompareTo(b.Offset) : a.Bytes.CompareTo(b.Bytes));
        long end = dataStart;
        string previous = "the header";
        foreach (StoredTensor tensor in byOffset)
        {
            if (tensor.Offset < end) throw Bad($"tensor \"{tensor.Name}\" overlaps {previous}");
            if (tensor.Offset > end) throw Bad($"{tensor.Offset - end} bytes between {previous} and tensor \"{tensor.Name}\" belong to nothing");
            end = tensor.Offset + tensor.Bytes;
            previous = $"tensor \"{tensor.Name}\"";
        }

        if (end > fileLength)
            throw new InputException($"{_path}: truncated: tensors reach to byte {end} but the file has {fileLength}; copy it again");
        if (end < fileLength) throw Bad($"{fileLength - end} bytes behind {previous} belong to nothing");
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType type, string otherwise)
    {
        if (!reader.Read() || reader.TokenType != type) throw Bad(otherwise);
    }

    private InputException Bad(string what) => new($"{_path}: bad safetensors header: {what}");
}
