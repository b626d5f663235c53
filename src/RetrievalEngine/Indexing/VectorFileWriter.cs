using System;
using System.Buffers.Binary;
using System.Globalization;
using System.IO;
using System.Runtime.InteropServices;
using System.Threading;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>Writes float32 vectors for other programs: <c>.npy</c>, <c>.fvecs</c>, or faiss's flat index (<c>.faiss</c>, <c>.index</c>), as the name says.</summary>
public static class VectorFileWriter
{
    private const int ChunkElements = 1 << 18;

    // faiss writes this number twice where older versions had fields.
    private const long FaissFiller = 1 << 20;

    /// <summary>
    /// Writes the vectors of <paramref name="source"/> to <paramref name="path"/>, and with <paramref name="idsPath"/> their ids, one a line, to that.
    /// </summary>
    /// <exception cref="InputException">The name says no format, an id has a line break in it, or a file cannot be written.</exception>
    public static void Write(VectorSource source, Metric metric, string path, string? idsPath, IProgress<ProgressUpdate>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(path);
        bool isRowwise = false;
        Action<Stream> writeHeader;
        switch (Path.GetExtension(path).ToUpperInvariant())
        {
            case ".NPY":
                writeHeader = stream => WriteNumPyHeader(stream, source);
                break;
            case ".FVECS":
                writeHeader = static _ => { };
                isRowwise = true;
                break;
            case ".FAISS" or ".INDEX":
                writeHeader = stream => WriteFaissHeader(stream, source, metric);
                break;
            default:
                throw new InputException($"{path}: the name must end in .npy, .fvecs, .faiss or .index, which says the format");
        }

        AtomicFile.Write(path, stream =>
        {
            writeHeader(stream);
            WriteRows(stream, source, isRowwise, progress, cancellation);
        });
        if (idsPath is not null) AtomicFile.Write(idsPath, stream => WriteIds(stream, source));
    }

    private static void WriteRows(Stream stream, VectorSource source, bool isRowwise, IProgress<ProgressUpdate>? progress, CancellationToken cancellation)
    {
        int most = Math.Max(1, ChunkElements / source.Dimensions);
        float[] chunk = new float[most * source.Dimensions];
        Span<byte> length = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, source.Dimensions);
        for (long row = 0, count; row < source.Rows; row += count)
        {
            cancellation.ThrowIfCancellationRequested();
            count = Math.Min(most, source.Rows - row);
            Span<float> rows = chunk.AsSpan(0, (int)count * source.Dimensions);
            source.Read(row, rows);
            if (!isRowwise) stream.Write(MemoryMarshal.AsBytes(rows));
            for (int i = 0; isRowwise && i < count; i++)
            {
                stream.Write(length);
                stream.Write(MemoryMarshal.AsBytes(rows.Slice(i * source.Dimensions, source.Dimensions)));
            }

            progress?.Report(new ProgressUpdate("export", row + count, source.Rows, "vectors"));
        }
    }

    private static void WriteNumPyHeader(Stream stream, VectorSource source)
    {
        string header = string.Create(CultureInfo.InvariantCulture, $"{{'descr': '<f4', 'fortran_order': False, 'shape': ({source.Rows}, {source.Dimensions}), }}");
        // The numbers begin at a multiple of 64 bytes.
        int length = (10 + header.Length + 1 + 63) / 64 * 64 - 10;
        stream.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)length, (byte)(length >> 8)]);
        stream.Write(System.Text.Encoding.Latin1.GetBytes(header.PadRight(length - 1) + "\n"));
    }

    private static void WriteFaissHeader(Stream stream, VectorSource source, Metric metric)
    {
        using BinaryWriter writer = new(stream, System.Text.Encoding.Latin1, leaveOpen: true);
        writer.Write(metric == Metric.L2 ? "IxF2"u8 : "IxFI"u8);
        writer.Write(source.Dimensions);
        writer.Write(source.Rows);
        writer.Write(FaissFiller);
        writer.Write(FaissFiller);
        writer.Write(true);
        writer.Write(metric == Metric.L2 ? 1 : 0);
        writer.Write(source.Rows * source.Dimensions);
    }

    private static void WriteIds(Stream stream, VectorSource source)
    {
        for (long row = 0; row < source.Rows; row++)
        {
            string id = source.Id(row);
            if (id.AsSpan().ContainsAny('\n', '\r')) throw new InputException($"the id of row {row} has a line break in it and cannot be one line of a file");
            stream.Write(System.Text.Encoding.UTF8.GetBytes(id + "\n"));
        }
    }
}
