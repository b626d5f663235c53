using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace RetrievalEngine.Text;

/// <summary>
/// Byte pair encoding (Sennrich et al. 2016): starts from single characters and applies the merge of lowest rank, leftmost first, until none is
/// left. Works on characters; byte-level models hand in text whose characters stand for bytes. A piece of n characters takes O(n log n).
/// </summary>
internal sealed class BpeModel : TokenModel
{
    /// <summary>Pieces up to this length are words: nothing is gained by looking for a place to cut them.</summary>
    private const int WordLength = 24;

    private readonly BpeOptions _options;
    private readonly int _unknown;
    private readonly MergeTable _merges;
    private readonly int[] _characters = new int[65536];
    private readonly int[] _bytes = new int[256];
    private readonly bool _allBytes;

    private readonly Lazy<JoinedPairs?> _joined;

    /// <summary>
    /// A model over <paramref name="vocabulary"/> with merges in order of rank, or ranked by the id of their result; <paramref name="unknown"/> may be -1.
    /// </summary>
    public BpeModel(Vocabulary vocabulary, List<Merge> merges, BpeOptions options, int unknown, bool mergesByResult = false)
    {
        Vocabulary = vocabulary;
        _merges = new(merges, mergesByResult);
        _options = options;
        _unknown = unknown;
        Array.Fill(_characters, -1);
        foreach ((string token, int id) in vocabulary.Tokens)
        {
            if (token.Length == 1) _characters[token[0]] = id;
        }

        _allBytes = options.ByteFallback;
        for (int b = 0; b < 256; b++)
        {
            _bytes[b] = vocabulary.IdOf(string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>"));
            _allBytes &= _bytes[b] >= 0;
        }

        _joined = new(() => JoinedPairs.Create(this));
    }

    public override Vocabulary Vocabulary { get; }

    /// <summary>
    /// A long text may be cut between two characters that stand together in no token: no merge can ever reach across. Exact, and what makes text
    /// without pre-tokeniser (Llama 2, Gemma) come in cacheable words.
    /// </summary>
    public override int StretchLength(ReadOnlySpan<char> text)
    {
        if (text.Length <= WordLength || (_options.IgnoreMerges && text.Length <= Vocabulary.LongestToken)) return text.Length;
        if (_joined.Value is not { } joined) return text.Length;
        for (int i = 1; i < text.Length; i++)
        {
            char a = text[i - 1], b = text[i];
            if (joined.Contains(a, b) || (char.IsHighSurrogate(a) && char.IsLowSurrogate(b))) continue;

            // Without all byte tokens, neighbouring unknown characters may be fused.
            if (_allBytes || (_characters[a] >= 0 && _characters[b] >= 0)) return i;
        }

        return text.Length;
    }

    public override void Tokenize(ReadOnlySpan<char> piece, List<TokenSpan> tokens)
    {
        if (_options.IgnoreMerges && Vocabulary.IdOf(piece) is >= 0 and int whole)
        {
            tokens.Add(new(whole, 0, piece.Length));
            return;
        }

        // At most one symbol for each UTF-8 byte.
        int bytes = System.Text.Encoding.UTF8.GetByteCount(piece);
        int[] ids = ArrayPool<int>.Shared.Rent(bytes), lengths = ArrayPool<int>.Shared.Rent(bytes);
        int count = Symbols(piece, ids, lengths);
        count = _merges.Apply(ids, lengths, count);
        Append(piece, bytes, ids.AsSpan(0, count), lengths.AsSpan(0, count), tokens);
        ArrayPool<int>.Shared.Return(ids);
        ArrayPool<int>.Shared.Return(lengths);
    }

    /// <summary>The starting symbols of a piece, and how many UTF-8 bytes each stands for.</summary>
    private int Symbols(ReadOnlySpan<char> piece, int[] ids, int[] lengths)
    {
        int count = 0, unknownLength = 0;
        Span<byte> utf8 = stackalloc byte[4];
        void Add(int id, int length)
        {
            ids[count] = id;
            lengths[count++] = length;
        }

        for (int i = 0, units; i < piece.Length; i += units)
        {
            int c = NormalizedText.CodePointAt(piece, i, out units);
            int length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            int id = IdOfCharacter(piece, i, units, c);
            if (id >= 0)
            {
                if (unknownLength > 0) Add(_unknown, unknownLength);
                unknownLength = 0;
                Add(id, length);
                continue;
            }

            new Rune(c).EncodeToUtf8(utf8);
            if (_options.ByteFallback && (_allBytes || HasBytes(utf8[..length])))
            {
                // As in the reference, unknown characters before these bytes come out behind them.
                foreach (byte b in utf8[..length]) Add(_bytes[b], 1);
            }
            else if (_unknown >= 0)
            {
                if (!_options.FuseUnknown && unknownLength > 0) Add(_unknown, unknownLength);
                unknownLength = _options.FuseUnknown ? unknownLength + length : length;
            }
        }

        if (unknownLength > 0) Add(_unknown, unknownLength);
        return count;
    }

    private int IdOfCharacter(ReadOnlySpan<char> piece, int index, int units, int c)
    {
        if (_options.ContinuingPrefix.Length + _options.EndSuffix.Length == 0)
        {
            return c < 65536 ? _characters[c] : Vocabulary.IdOf(piece.Slice(index, units));
        }

        string prefix = index > 0 ? _options.ContinuingPrefix : "", suffix = index + units == piece.Length ? _options.EndSuffix : "";
        return Vocabulary.IdOf($"{prefix}{new Rune(c)}{suffix}");
    }

    private bool HasBytes(ReadOnlySpan<byte> utf8)
    {
        foreach (byte b in utf8)
        {
            if (_bytes[b] < 0) return false;
        }

        return true;
    }

    /// <summary>Turns byte lengths into ranges of UTF-16 units, widened to whole code points.</summary>
    private static void Append(ReadOnlySpan<char> piece, int bytes, ReadOnlySpan<int> ids, ReadOnlySpan<int> lengths, List<TokenSpan> tokens)
    {
        int position = 0;
        if (bytes == piece.Length)
        {
            for (int i = 0; i < ids.Length; i++)
            {
                tokens.Add(new(ids[i], position, position + lengths[i]));
                position += lengths[i];
            }

            return;
        }

        int unit = 0, unitStart = 0, units = 0, unitBytes = 0;
        void Advance(ReadOnlySpan<char> text, int target)
        {
            // Moves on to the code point that holds byte `target`.
            while (target >= unitStart + unitBytes && unit + units < text.Length)
            {
                unit += units;
                unitStart += unitBytes;
                int c = NormalizedText.CodePointAt(text, unit, out units);
                unitBytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
            }
        }

        for (int i = 0; i < ids.Length; i++)
        {
            Advance(piece, position);
            int start = unit;
            position += lengths[i];
            Advance(piece, position - 1);
            tokens.Add(new(ids[i], start, unit + units));
        }
    }

    /// <summary>Pairs of neighbouring characters that stand inside some token that a merge makes.</summary>
    private sealed class JoinedPairs
    {
        private readonly HashSet<uint> _pairs = [];
        private readonly bool[] _ascii = new bool[128 * 128];

        /// <summary>
        /// Null where cutting between other pairs could change the result: affixes, merges of byte tokens, or characters that vanish (in the
        /// reference, offsets behind those are shifted within the piece).
        /// </summary>
        public static JoinedPairs? Create(BpeModel model)
        {
            if (model._options.ContinuingPrefix.Length + model._options.EndSuffix.Length > 0) return null;
            if (!model._allBytes && model._unknown < 0) return null;
            if (model._merges.UsesAny(model._bytes)) return null;
            JoinedPairs joined = new();
            foreach (string token in model._merges.Results(model.Vocabulary))
            {
                for (int i = 1; i < token.Length; i++)
                {
                    char a = token[i - 1], b = token[i];
                    if ((a | b) < 128) joined._ascii[(a << 7) | b] = true;
                    else joined._pairs.Add(((uint)a << 16) | b);
                }
            }

            return joined;
        }

        public bool Contains(char a, char b) => (a | b) < 128 ? _ascii[(a << 7) | b] : _pairs.Contains(((uint)a << 16) | b);
    }
}
