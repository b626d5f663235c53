using System;
using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Text.Encodings.Web;
using System.Text.Json;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// Writes safetensors files as the reference implementation lays them out: wider types first, then by name, so that every tensor is aligned to its
/// element; the header padded with spaces to 8 bytes. The same tensors and metadata give the same bytes.
/// </summary>
public static class SafeTensorsWriter
{
    private const int Word = 8, Line = 64;

    /// <summary>Writes <paramref name="path"/>; a file of that name is replaced in one step when all bytes are on the disk.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Of different names.</param>
    /// <param name="metadata">What the header says beside them.</param>
    /// <param name="atLines">For rows that are scanned where they lie: tensors of whole cache lines come first and begin at one, since a vector of 64 bytes in two
    /// lines takes two loads. Any reader of the format reads it.</param>
    /// <exception cref="InputException">It cannot be written; what was there before is as it was.</exception>
    public static void Write(string path, IReadOnlyCollection<TensorSource> tensors, IReadOnlyDictionary<string, string>? metadata = null, bool atLines = false)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        TensorSource[] sorted = [.. tensors.OrderBy(t => atLines && t.Bytes % Line != 0).ThenByDescending(t => t.DType.Size()).ThenBy(t => t.Name, StringComparer.Ordinal)];
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (TensorSource tensor in sorted)
        {
            if (!names.Add(tensor.Name)) throw new ArgumentException($"two tensors are named {tensor.Name}");
        }

        byte[] header = Header(sorted, metadata, atLines ? Line : Word);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            foreach (TensorSource tensor in sorted)
            {
                long start = stream.Position;
                tensor.WriteTo(stream);
                long written = stream.Position - start;
                if (written != tensor.Bytes)
                    throw new InvalidOperationException($"{tensor.Name}: {written} bytes were written for {tensor.DType} {tensor.Shape}");
            }
        });
    }

    private static byte[] Header(TensorSource[] tensors, IReadOnlyDictionary<string, string>? metadata, int unit)
    {
        ArrayBufferWriter<byte> json = new();
        using (Utf8JsonWriter writer = new(json, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                writer.WriteStartObject("__metadata__");
                foreach ((string key, string value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal)) writer.WriteString(key, value);
                writer.WriteEndObject();
            }

            long offset = 0;
            foreach (TensorSource tensor in tensors)
            {
                writer.WriteStartObject(tensor.Name);
                writer.WriteString("dtype", tensor.DType.ToString());
                writer.WriteStartArray("shape");
                for (int i = 0; i < tensor.Shape.Rank; i++) writer.WriteNumberValue(tensor.Shape[i]);
                writer.WriteEndArray();
                writer.WriteStartArray("data_offsets");
                writer.WriteNumberValue(offset);
                writer.WriteNumberValue(offset += tensor.Bytes);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        byte[] header = new byte[(sizeof(ulong) + json.WrittenCount + unit - 1) / unit * unit];
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)(header.Length - sizeof(ulong)));
        json.WrittenSpan.CopyTo(header.AsSpan(sizeof(ulong)));
        header.AsSpan(sizeof(ulong) + json.WrittenCount).Fill((byte)' ');
        return header;
    }
}
