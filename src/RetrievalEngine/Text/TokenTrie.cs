using System;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>All tokens of a vocabulary by their UTF-16 units: a trie whose edges lie in one open-addressing table.</summary>
internal sealed class TokenTrie
{
    private const long Empty = -1;
    private readonly long[] _keys;
    private readonly int[] _children;
    private readonly int[] _ids;
    private readonly int _mask;

    /// <summary>The trie of <paramref name="tokens"/>; an empty one is left out.</summary>
    public TokenTrie(IReadOnlyDictionary<string, int> tokens)
    {
        long edges = 0;
        foreach (string token in tokens.Keys) edges += token.Length;
        int size = 16;
        while (size < edges * 2) size = checked(size * 2);
        _keys = new long[size];
        Array.Fill(_keys, Empty);
        _children = new int[size];
        _mask = size - 1;
        List<int> ids = [-1];
        foreach ((string token, int id) in tokens)
        {
            int node = 0;
            foreach (char c in token)
            {
                long key = Key(node, c);
                int slot = Slot(key);
                if (_keys[slot] == Empty)
                {
                    _keys[slot] = key;
                    _children[slot] = ids.Count;
                    ids.Add(-1);
                }

                node = _children[slot];
            }

            if (node > 0) ids[node] = id;
        }

        _ids = [.. ids];
    }

    /// <summary>Moves from <paramref name="node"/> (0: the root) along <paramref name="c"/>; false where no token goes on so.</summary>
    public bool TryMove(ref int node, char c)
    {
        long key = Key(node, c);
        int slot = Slot(key);
        if (_keys[slot] == Empty) return false;
        node = _children[slot];
        return true;
    }

    /// <summary>The token that ends at <paramref name="node"/>, or -1.</summary>
    public int IdAt(int node) => _ids[node];

    private int Slot(long key)
    {
        int slot = (int)((ulong)(key * unchecked((long)0x9E3779B97F4A7C15UL)) >> 32) & _mask;
        while (_keys[slot] != key && _keys[slot] != Empty) slot = (slot + 1) & _mask;
        return slot;
    }

    private static long Key(int node, char c) => ((long)node << 16) | c;
}
