using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.Text.RegularExpressions;
using RetrievalEngine.Checkpoints;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;
using RetrievalEngine.Encoding;
using RetrievalEngine.Search;

namespace RetrievalEngine.Indexing;

/// <summary>
/// A file of vectors of another program, mapped: NumPy's <c>.npy</c> [rows, dimensions] of float16, float32 or float64, faiss's flat index (<c>IxFI</c>,
/// <c>IxF2</c>, <c>IxFl</c>), or <c>.fvecs</c>. Told apart by their first bytes, fvecs (which has no mark) by its name.
/// </summary>
public sealed partial class VectorFile : IDisposable
{
    private const int FaissHeader = 4 + 4 + 8 + 8 + 8 + 1 + 4;
    private readonly MappedFile _file;
    private readonly long _start, _stride;
    private readonly int _elementSize;

    private VectorFile(MappedFile file, long rows, int dimensions, long start, long stride, int elementSize, Metric? metric = null)
    {
        _file = file;
        (Rows, Dimensions, _start, _stride, _elementSize, Metric) = (rows, dimensions, start, stride, elementSize, metric);
    }

    /// <summary>How many vectors.</summary>
    public long Rows { get; }

    /// <summary>Elements of a vector.</summary>
    public int Dimensions { get; }

    /// <summary>The metric that the file asks for; null where it does not say.</summary>
    public Metric? Metric { get; }

    /// <summary>Opens <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is absent, truncated, or none of the formats.</exception>
    public static VectorFile Open(string path)
    {
        MappedFile file = TensorFile.Map(path);
        try
        {
            ReadOnlySpan<byte> head = file.Bytes(0, (int)Math.Min(file.Length, 16));
            if (head.Length > 1 && head[0] == 0x93 && head[1..].StartsWith("NUMPY"u8)) return OpenNumPy(file);
            if (head.StartsWith("IxFI"u8) || head.StartsWith("IxF2"u8) || head.StartsWith("IxFl"u8)) return OpenFaiss(file);
            if (path.EndsWith(".fvecs", StringComparison.OrdinalIgnoreCase)) return OpenFvecs(file);
            throw new InputException($"{path} is no file of vectors that is known here: .npy, a faiss flat index (IxFI, IxF2, IxFl), or a name that ends in .fvecs");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Vectors from <paramref name="firstRow"/> on as float32.</summary>
    /// <exception cref="InputException">A row of fvecs has another length.</exception>
    public void Read(long firstRow, Span<float> rows)
    {
        for (int i = 0; i * Dimensions < rows.Length; i++)
        {
            long row = firstRow + i, at = _start + row * _stride;
            Span<float> to = rows.Slice(i * Dimensions, Dimensions);
            int before = (int)_stride - Dimensions * _elementSize;
            if (before > 0 && BinaryPrimitives.ReadInt32LittleEndian(_file.Bytes(at, before)) is var length && length != Dimensions)
                throw new InputException($"{_file.Path}: row {row} has {length} numbers where the first has {Dimensions}");
            ReadOnlySpan<byte> bytes = _file.Bytes(at + before, Dimensions * _elementSize);
            switch (_elementSize)
            {
                case sizeof(double):
                    for (int j = 0; j < to.Length; j++) to[j] = (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes[(j * sizeof(double))..]);
                    break;
                default:
                    FloatBytes.Widen(bytes, _elementSize == sizeof(float) ? DType.F32 : DType.F16, to);
                    break;
            }
        }
    }

    /// <summary>
    /// It as a source whose ids are the lines of <paramref name="idsFile"/>, or without one the row numbers from <paramref name="firstNumber"/> on.
    /// </summary>
    /// <exception cref="InputException">The file of ids has not one line a row.</exception>
    public VectorSource AsSource(string? idsFile, long firstNumber = 0)
    {
        List<string>? ids = idsFile is null ? null : ReadIds(idsFile);
        if (ids is not null && ids.Count != Rows) throw new InputException($"{idsFile} has {ids.Count} ids but {_file.Path} {Rows} vectors; one line a vector is needed");
        return new VectorSource(_file.Path, Rows, Dimensions, row => ids is null ? (firstNumber + row).ToString(CultureInfo.InvariantCulture) : ids[(int)row], Read);
    }

    /// <summary>Ids, one a line.</summary>
    /// <exception cref="InputException">It cannot be read.</exception>
    public static List<string> ReadIds(string path)
    {
        List<string> ids = [];
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        while (reader.TryRead(out ReadOnlySpan<byte> line)) ids.Add(System.Text.Encoding.UTF8.GetString(line));
        return ids;
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static VectorFile OpenNumPy(MappedFile file)
    {
        // \x93NUMPY, two bytes of version, the header's length (two bytes, from version 2 on four), a Python dictionary, the numbers.
        if (file.Length < 12) throw Bad(file, "it is truncated");
        int lengthBytes = file.Bytes(6, 1)[0] == 1 ? 2 : 4;
        ReadOnlySpan<byte> field = file.Bytes(8, lengthBytes);
        long headerLength = lengthBytes == 2 ? BinaryPrimitives.ReadUInt16LittleEndian(field) : BinaryPrimitives.ReadUInt32LittleEndian(field), start = 8 + lengthBytes + headerLength;
        if (start > file.Length || headerLength > 1 << 20) throw Bad(file, "it is truncated");
        string header = System.Text.Encoding.Latin1.GetString(file.Bytes(8 + lengthBytes, (int)headerLength));
        string descr = NumPyType().Match(header) is { Success: true } type ? type.Groups[1].Value : throw Bad(file, "its header names no type");
        int size = descr switch
        {
            "<f2" => 2,
            "<f4" => 4,
            "<f8" => 8,
            _ => throw Bad(file, $"its type is {descr}, but float16, float32 or float64 is needed (numpy.save(file, array.astype('float32')))"),
        };
        if (NumPyOrder().IsMatch(header)) throw Bad(file, "its order is Fortran's; save numpy.ascontiguousarray(array)");
        Match shape = NumPyShape().Match(header);
        if (!shape.Success || !long.TryParse(shape.Groups[1].ValueSpan, CultureInfo.InvariantCulture, out long rows) || !int.TryParse(shape.Groups[2].ValueSpan, CultureInfo.InvariantCulture, out int dimensions))
            throw Bad(file, "its shape is not (rows, dimensions)");
        return Fitting(file, rows, dimensions, start, (long)dimensions * size, size);
    }

    private static VectorFile OpenFaiss(MappedFile file)
    {
        // Four letters, d, number of rows, two numbers without meaning, whether it is trained, the metric (and its argument where it is neither of the two), the count of numbers, the numbers.
        if (file.Length < FaissHeader + sizeof(long)) throw Bad(file, "it is truncated");
        ReadOnlySpan<byte> head = file.Bytes(0, FaissHeader);
        int dimensions = BinaryPrimitives.ReadInt32LittleEndian(head[4..]), metric = BinaryPrimitives.ReadInt32LittleEndian(head[33..]);
        long rows = BinaryPrimitives.ReadInt64LittleEndian(head[8..]);
        if (metric is not (0 or 1)) throw Bad(file, $"its metric is number {metric} of faiss; inner product (0) and L2 (1) are known here");
        long count = BinaryPrimitives.ReadInt64LittleEndian(file.Bytes(FaissHeader, sizeof(long)));
        if (rows < 0 || dimensions < 1 || count != (Int128)rows * dimensions) throw Bad(file, $"{rows} rows of {dimensions} are not {count} numbers");
        return Fitting(file, rows, dimensions, FaissHeader + sizeof(long), (long)dimensions * sizeof(float), sizeof(float), metric == 0 ? Search.Metric.InnerProduct : Search.Metric.L2);
    }

    private static VectorFile OpenFvecs(MappedFile file)
    {
        // Each row: its length, its numbers.
        if (file.Length < sizeof(int)) throw Bad(file, "it is empty");
        int dimensions = BinaryPrimitives.ReadInt32LittleEndian(file.Bytes(0, sizeof(int)));
        if (dimensions is < 1 or > EmbeddingManifest.MaxDimensions) throw Bad(file, $"its first row says that it has {dimensions} numbers");
        long stride = sizeof(int) + (long)dimensions * sizeof(float);
        if (file.Length % stride != 0) throw Bad(file, $"its {file.Length} bytes are no whole number of rows of {dimensions}; it is truncated or its rows differ");
        return new VectorFile(file, file.Length / stride, dimensions, 0, stride, sizeof(float));
    }

    private static VectorFile Fitting(MappedFile file, long rows, int dimensions, long start, long stride, int elementSize, Metric? metric = null)
    {
        if (dimensions is < 1 or > EmbeddingManifest.MaxDimensions) throw Bad(file, $"vectors of {dimensions} numbers, but 1 to {EmbeddingManifest.MaxDimensions} are possible");
        if (rows < 0 || (Int128)rows * stride != file.Length - start)
            throw Bad(file, $"{rows} rows of {dimensions} take {(Int128)rows * stride} bytes, but {file.Length - start} are there");
        return new VectorFile(file, rows, dimensions, start, stride, elementSize, metric);
    }

    private static InputException Bad(MappedFile file, string what) => new($"{file.Path} cannot be read as vectors: {what}");

    [GeneratedRegex("""'descr'\s*:\s*'([^']*)'""")]
    private static partial Regex NumPyType();

    [GeneratedRegex("""'fortran_order'\s*:\s*True""")]
    private static partial Regex NumPyOrder();

    [GeneratedRegex("""'shape'\s*:\s*\(\s*([0-9]+)\s*,\s*([0-9]+)\s*,?\s*\)""")]
    private static partial Regex NumPyShape();
}
