using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;

namespace RetrievalEngine.Tests.Checkpoints;

/// <summary>Writes what <c>torch.save</c> writes, byte by byte, for the readers' tests.</summary>
internal static class TorchBytes
{
    public const string Float = "FloatStorage";

    /// <summary>A pickle: protocol 2, then <paramref name="opcodes"/>, then STOP. A text is one byte a character.</summary>
    public static byte[] Pickle(string opcodes) => [0x80, 0x02, .. Latin1(opcodes), (byte)'.'];

    /// <summary>The opcodes of a dictionary.</summary>
    public static string Dictionary(params IEnumerable<(string Key, string Value)> entries) =>
        $"}}q\0({string.Concat(entries.Select(entry => Str(entry.Key) + entry.Value))}u";

    /// <summary>The opcodes of a tensor of type <paramref name="storage"/>.</summary>
    public static string Tensor(string storage, string key, int count, int offset, int[] sizes, int[] strides, bool old = false) =>
        $"ctorch._utils\n_rebuild_tensor_v2\n(({Str("storage")}ctorch\n{storage}\n{Str(key)}{Str("cpu")}{Int(count)}{(old ? "N" : "")}tQ{Int(offset)}({string.Concat(sizes.Select(Int))}t("
        + $"{string.Concat(strides.Select(Int))}t\u0089ccollections\nOrderedDict\n)RtR";

    /// <summary>The opcodes of a string.</summary>
    public static string Str(string text) => $"X{Raw(text.Length)}{text}";

    /// <summary>The opcodes of a number.</summary>
    public static string Int(int value) => $"J{Raw(value)}";

    /// <summary>The zip archive of PyTorch since 1.6.</summary>
    public static byte[] Zip(byte[] pickle, params IEnumerable<(string Key, byte[] Bytes)> storages)
    {
        using MemoryStream stream = new();
        using (ZipArchive zip = new(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(zip, "archive/data.pkl", pickle);
            Add(zip, "archive/byteorder", [.. "little"u8]);
            foreach ((string key, byte[] bytes) in storages) Add(zip, $"archive/data/{key}", bytes);
        }

        return stream.ToArray();
    }

    /// <summary>The file of PyTorch before 1.6; <paramref name="storages"/> hold floats.</summary>
    public static byte[] Old(byte[] pickle, params IEnumerable<(string Key, byte[] Bytes)> storages) =>
    [
        .. Pickle("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"), .. Pickle("M\xe9\x03"), .. Pickle(Dictionary(("little_endian", "\x88"))), .. pickle,
        .. Pickle($"]({string.Concat(storages.Select(s => Str(s.Key)))}e"),
        .. storages.SelectMany(s => (byte[])[.. System.BitConverter.GetBytes(s.Bytes.Length / 4L), .. s.Bytes]),
    ];

    /// <summary>Little-endian bytes of floats.</summary>
    public static byte[] Floats(params float[] values) => [.. values.SelectMany(System.BitConverter.GetBytes)];

    private static void Add(ZipArchive zip, string name, byte[] bytes)
    {
        using Stream entry = zip.CreateEntry(name, CompressionLevel.NoCompression).Open();
        entry.Write(bytes);
    }

    private static string Raw(int value) => System.Text.Encoding.Latin1.GetString(System.BitConverter.GetBytes(value));

    private static byte[] Latin1(string text) => System.Text.Encoding.Latin1.GetBytes(text);
}
