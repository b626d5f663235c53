using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Security.Cryptography;
using System.Text;
using System.Threading;

namespace RetrievalEngine.Encoding;

/// <summary>SHA-256 of what lies in files, lower-case hexadecimal, so that a vector can say what made it.</summary>
public static class ContentHash
{
    private const int BufferBytes = 1 << 20;

    /// <summary>The hash of one file: what <c>sha256sum FILE</c> prints.</summary>
    public static string OfFile(string path, CancellationToken cancellation = default) => OfFile(path, null, cancellation);

    /// <summary>
    /// The hash of several files as one thing: of a single file its own, of more what <c>sha256sum A B … | sha256sum</c> prints in their folder, in
    /// the order given.
    /// </summary>
    /// <param name="paths">The files.</param>
    /// <param name="progress">Told how many megabytes were read.</param>
    /// <param name="cancellation">Stops between two blocks.</param>
    /// <exception cref="InputException">A file cannot be read.</exception>
    public static string OfFiles(IReadOnlyList<string> paths, IProgress<ProgressUpdate>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(paths);
        ByteProgress bytes = new(progress, paths);
        if (paths.Count == 1) return OfFile(paths[0], bytes, cancellation);
        StringBuilder lines = new();
        foreach (string path in paths) lines.Append(CultureInfo.InvariantCulture, $"{OfFile(path, bytes, cancellation)}  {Path.GetFileName(path)}\n");
        return Hex(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(lines.ToString())));
    }

    /// <summary>Adds a string with its length to a running hash, so that two neighbours cannot trade characters unseen.</summary>
    public static void Append(IncrementalHash hash, string? text)
    {
        ArgumentNullException.ThrowIfNull(hash);
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text ?? "");
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, bytes.Length);
        hash.AppendData(length);
        hash.AppendData(bytes);
    }

    /// <summary>Bytes as lower-case hexadecimal.</summary>
    public static string Hex(ReadOnlySpan<byte> hash) => Convert.ToHexStringLower(hash);

    private static string OfFile(string path, ByteProgress? progress, CancellationToken cancellation)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] buffer = new byte[(int)Math.Min(BufferBytes, stream.Length + 1)];
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                cancellation.ThrowIfCancellationRequested();
                hash.AppendData(buffer, 0, read);
                progress?.Add(read);
            }

            return Hex(hash.GetHashAndReset());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path} cannot be read: {e.Message}", e);
        }
    }

    private sealed class ByteProgress
    {
        private const long Megabyte = 1_000_000;
        private readonly IProgress<ProgressUpdate>? _progress;
        private readonly long _total;
        private long _done;

        public ByteProgress(IProgress<ProgressUpdate>? progress, IReadOnlyList<string> paths)
        {
            _progress = progress;
            foreach (string path in paths) _total += File.Exists(path) ? new FileInfo(path).Length : 0;
        }

        public void Add(int bytes)
        {
            _done += bytes;
            _progress?.Report(new ProgressUpdate("check weights", _done / Megabyte, _total / Megabyte, "MB"));
        }
    }
}
