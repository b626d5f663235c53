using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;

namespace RetrievalEngine.Text;

/// <summary>
/// Unigram language model (Kudo 2018): of all ways to cut a piece into tokens the one with the largest sum of scores, by one pass (Viterbi). Code
/// points that no token covers cost
/// the smallest score less 10 and are joined to one unknown token. A piece of n units takes O(n · longest token) time and 4 n bytes.
/// </summary>
internal sealed class UnigramModel : TokenModel
{
    private const double UnknownPenalty = 10;
    private const int Unreached = -1;
    private readonly TokenTrie _trie;
    private readonly double[] _scores;
    private readonly int[]? _bytes;
    private readonly int _unknown, _ring;
    private readonly double _unknownScore;

    /// <summary>A model over <paramref name="vocabulary"/>, whose ids index <paramref name="scores"/>.</summary>
    /// <param name="vocabulary">Tokens.</param>
    /// <param name="scores">Logarithms of their probabilities.</param>
    /// <param name="unknown">The id of what is not covered.</param>
    /// <param name="byteFallback">Whether unknown text becomes the tokens of its bytes, where all of them are there.</param>
    public UnigramModel(Vocabulary vocabulary, double[] scores, int unknown, bool byteFallback)
    {
        Vocabulary = vocabulary;
        _trie = new(vocabulary.Tokens);
        _scores = scores;
        _unknown = unknown;
        double smallest = double.PositiveInfinity;
        foreach (double score in scores) smallest = Math.Min(smallest, score);
        _unknownScore = smallest - UnknownPenalty;
        // Scores are needed only as far back as a token reaches; an unknown code point has up to two units.
        _ring = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(4, vocabulary.LongestToken + 1));
        if (!byteFallback) return;
        _bytes = new int[256];
        for (int b = 0; b < 256; b++) _bytes[b] = vocabulary.IdOf(string.Create(CultureInfo.InvariantCulture, $"<0x{b:X2}>"));
    }

    public override Vocabulary Vocabulary { get; }

    public override void Tokenize(ReadOnlySpan<char> piece, List<TokenSpan> tokens)
    {
        int[] ends = ArrayPool<int>.Shared.Rent(piece.Length + 1);
        FindBest(piece, ends);
        int before = tokens.Count;
        for (int end = piece.Length; end > 0;)
        {
            int id = ends[end], start = end - LengthOf(piece, end, id);
            // Neighbouring unknowns become one.
            while (id == _unknown && start > 0 && ends[start] == _unknown) start -= LengthOf(piece, start, _unknown);
            tokens.Add(new(id, start, end));
            end = start;
        }

        ArrayPool<int>.Shared.Return(ends);
        tokens.Reverse(before, tokens.Count - before);
        Resolve(piece, tokens, before);
    }

    /// <summary>For each end of a best path the last token on it.</summary>
    private void FindBest(ReadOnlySpan<char> piece, int[] ends)
    {
        Span<double> best = _ring <= 256 ? stackalloc double[_ring] : new double[_ring];
        int mask = _ring - 1;
        ends.AsSpan(0, piece.Length + 1).Fill(Unreached);
        best[0] = 0;
        for (int start = 0, units; start < piece.Length; start += units)
        {
            NormalizedText.CodePointAt(piece, start, out units);
            double here = best[start & mask];
            bool single = false;
            for (int end = start, node = 0; end < piece.Length && _trie.TryMove(ref node, UnitAt(piece, end));)
            {
                end++;
                int id = _trie.IdAt(node);
                if (id < 0) continue;
                Offer(end, here + _scores[id], id, best, ends);
                single |= end - start == units;
            }

            if (!single) Offer(start + units, here + _unknownScore, _unknown, best, ends);
        }

        void Offer(int end, double score, int id, Span<double> best, int[] ends)
        {
            if (ends[end] != Unreached && score <= best[end & mask]) return;
            best[end & mask] = score;
            ends[end] = id;
        }
    }

    /// <summary>Unknown stretches that together are a token, or have byte tokens, become those.</summary>
    private void Resolve(ReadOnlySpan<char> piece, List<TokenSpan> tokens, int first)
    {
        for (int i = first; i < tokens.Count; i++)
        {
            if (tokens[i].Id != _unknown) continue;
            (int start, int end) = (tokens[i].Start, tokens[i].End);
            if (Vocabulary.IdOf(piece[start..end]) is >= 0 and int whole)
            {
                tokens[i] = new(whole, start, end);
                continue;
            }

            if (_bytes is null) continue;
            byte[] utf8 = System.Text.Encoding.UTF8.GetBytes(piece[start..end].ToArray());
            if (Array.Exists(utf8, b => _bytes[b] < 0)) continue;
            tokens.RemoveAt(i);
            tokens.InsertRange(i, Array.ConvertAll(utf8, b => new TokenSpan(_bytes[b], start, end)));
            i += utf8.Length - 1;
        }
    }

    /// <summary>The units of the token <paramref name="id"/> that ends at <paramref name="end"/>; an unknown is one code point.</summary>
    private int LengthOf(ReadOnlySpan<char> piece, int end, int id)
    {
        if (id != _unknown) return Vocabulary.TokenOf(id)!.Length;
        return end > 1 && char.IsLowSurrogate(piece[end - 1]) && char.IsHighSurrogate(piece[end - 2]) ? 2 : 1;
    }

    /// <summary>A unit; U+FFFD where it is half of a code point.</summary>
    private static char UnitAt(ReadOnlySpan<char> text, int i)
    {
        char c = text[i];
        if (!char.IsSurrogate(c)) return c;
        bool whole = char.IsHighSurrogate(c) ? i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]) : i > 0 && char.IsHighSurrogate(text[i - 1]);
        return whole ? c : '\uFFFD';
    }
}
