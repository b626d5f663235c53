using System;
using System.IO;
using System.Linq;

namespace RetrievalEngine;

/// <summary>
/// Files and folders that exist whole or not at all: written under another name beside the final one, flushed to the disk, then renamed. A crash, a
/// full disk or an exception at any byte leaves what was there before.
/// </summary>
public static class AtomicFile
{
    /// <summary>Ends the name under which something unfinished lies.</summary>
    public const string PartialSuffix = ".partial";

    /// <summary>Writes <paramref name="path"/>, replacing a file of that name.</summary>
    /// <exception cref="InputException">It cannot be written: full disk, read-only folder.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(write);
        string partial = path + PartialSuffix;
        try
        {
            if (path.StartsWith("/dev/", StringComparison.Ordinal))
            {
                // A device cannot be replaced by a file (nor must it be, by root).
                using FileStream device = new(path, FileMode.Open, FileAccess.Write);
                write(device);
                return;
            }

            if (Path.GetDirectoryName(path) is { Length: > 0 } folder) Directory.CreateDirectory(folder);
            using (FileStream stream = new(partial, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(partial, path, overwrite: true);
        }
        catch (Exception e)
        {
            TryDelete(() => File.Delete(partial));
            // What .NET makes of EFBIG: the file system (FAT32, say) or a limit of the process allows no file of that size.
            if (e is IOException or UnauthorizedAccessException or ArgumentOutOfRangeException { ParamName: "value" }) throw new InputException($"{path} cannot be written: {e.Message}", e);
            throw;
        }
    }

    /// <summary>Writes a text file as UTF-8 without a byte order mark.</summary>
    /// <exception cref="InputException">It cannot be written.</exception>
    public static void WriteText(string path, string text)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(text);
        Write(path, stream => stream.Write(bytes));
    }

    /// <summary>
    /// Makes the folder <paramref name="path"/> from what <paramref name="fill"/> writes into the folder it is given. The final name must be free or
    /// an empty folder. Files are flushed by whoever writes them (<see cref="Write"/> does).
    /// </summary>
    /// <exception cref="InputException">The folder is there and not empty, or cannot be written.</exception>
    public static void CreateFolder(string path, Action<string> fill)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentNullException.ThrowIfNull(fill);
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)), partial = full + PartialSuffix;
        if (File.Exists(full)) throw new InputException($"{path} is a file where a folder is to be written");
        try
        {
            if (Directory.Exists(full) && Directory.EnumerateFileSystemEntries(full).Any())
                throw new InputException($"{path} is not empty; name a folder that does not exist yet");
            if (Directory.Exists(partial)) Directory.Delete(partial, recursive: true);
            Directory.CreateDirectory(partial);
            fill(partial);
            if (Directory.Exists(full)) Directory.Delete(full);
            Directory.Move(partial, full);
        }
        catch (Exception e)
        {
            TryDelete(() => Directory.Delete(partial, recursive: true));
            if (e is IOException or UnauthorizedAccessException) throw new InputException($"{path} cannot be written: {e.Message}", e);
            throw;
        }
    }

    private static void TryDelete(Action delete)
    {
        try
        {
            delete();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The first exception says what is wrong; the next write of the same name removes what is left.
        }
    }
}
