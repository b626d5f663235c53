using System;
using System.Collections.Generic;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RetrievalEngine.Text;

/// <summary>
/// Remembers the tokens of short pieces. A table of fixed size in which the later piece replaces the earlier one of the same slot; entries are
/// immutable and published by one reference write, so any number of threads may use it without a lock.
/// </summary>
internal sealed class PieceCache
{
    private const int Slots = 1 << 16, LongestPiece = 64;

    private readonly Entry?[] _entries = new Entry?[Slots];

    /// <summary>The tokens of <paramref name="piece"/>, or null where they are not known.</summary>
    public TokenSpan[]? Find(ReadOnlySpan<char> piece, out int slot)
    {
        slot = -1;
        if (piece.Length > LongestPiece) return null;
        slot = (int)(Hash(piece) >> 48);
        Entry? entry = _entries[slot];
        return entry is not null && piece.SequenceEqual(entry.Piece) ? entry.Tokens : null;
    }

    /// <summary>Remembers the tokens of <paramref name="piece"/> in the slot that <see cref="Find"/> named (-1: not to be remembered).</summary>
    public void Add(ReadOnlySpan<char> piece, int slot, List<TokenSpan> tokens)
    {
        if (slot >= 0) _entries[slot] = new(piece.ToString(), tokens.ToArray());
    }

    private static ulong Hash(ReadOnlySpan<char> piece)
    {
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(piece);
        ulong hash = (ulong)bytes.Length;
        for (; bytes.Length >= 8; bytes = bytes[8..]) hash = Mix(hash, Unsafe.ReadUnaligned<ulong>(in MemoryMarshal.GetReference(bytes)));
        ulong rest = 0;
        for (int i = 0; i < bytes.Length; i += 2) rest = (rest << 16) | MemoryMarshal.Read<ushort>(bytes[i..]);
        return Mix(hash, rest);
    }

    private static ulong Mix(ulong hash, ulong value)
    {
        hash = (hash ^ value) * 0x9E3779B97F4A7C15UL;
        return hash ^ (hash >> 29);
    }

    private sealed record Entry(string Piece, TokenSpan[] Tokens);
}
