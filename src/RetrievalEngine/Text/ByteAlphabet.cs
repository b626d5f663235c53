using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>
/// GPT-2's visible character for each byte: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on, so a space is Ġ.
/// </summary>
internal static class ByteAlphabet
{
    /// <summary>The character of each byte.</summary>
    public static string Characters { get; } = Make();

    private static readonly int[] _bytes = MakeInverse();

    /// <summary>The byte of a character, or -1.</summary>
    public static int ByteOf(char c) => c < _bytes.Length ? _bytes[c] : -1;

    /// <summary>Appends the bytes of <paramref name="token"/>, or those of its UTF-8 where it is not written in this alphabet.</summary>
    public static void AppendBytes(string token, List<byte> bytes)
    {
        int before = bytes.Count;
        foreach (char c in token)
        {
            if (ByteOf(c) is >= 0 and int b)
            {
                bytes.Add((byte)b);
                continue;
            }

            bytes.RemoveRange(before, bytes.Count - before);
            bytes.AddRange(System.Text.Encoding.UTF8.GetBytes(token));
            return;
        }
    }

    private static string Make() => string.Create(256, 0, static (characters, _) =>
    {
        int next = 256;
        for (int b = 0; b < 256; b++)
        {
            characters[b] = (char)(b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? b : next++);
        }
    });

    private static int[] MakeInverse()
    {
        int[] bytes = new int[256 + 68];
        Array.Fill(bytes, -1);
        for (int b = 0; b < 256; b++) bytes[Characters[b]] = b;
        return bytes;
    }
}
