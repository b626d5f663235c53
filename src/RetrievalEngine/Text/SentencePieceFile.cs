using System;
using System.Buffers.Binary;
using System.Collections.Generic;

namespace RetrievalEngine.Text;

/// <summary>
/// A model of SentencePiece (https://github.com/google/sentencepiece, <c>sentencepiece_model.proto</c>): the fields that decide ids, read from its
/// protocol buffer.
/// </summary>
internal sealed class SentencePieceFile
{
    private const int MaxPieces = Vocabulary.MaxId;
    private readonly string _where;

    private SentencePieceFile(string where) => _where = where;

    /// <summary>How pieces are told: <c>Normal</c> ones are found by the model, <c>Control</c> and <c>UserDefined</c> as they stand.</summary>
    public enum PieceType
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <summary>A piece; its id is its index.</summary>
    public readonly record struct Piece(string Text, float Score, PieceType Type);

    /// <summary>All pieces.</summary>
    public List<Piece> Pieces { get; } = [];

    /// <summary>Whether the model is BPE, else Unigram.</summary>
    public bool IsBpe { get; private set; }

    /// <summary>The character map; empty where text is not changed.</summary>
    public byte[] CharacterMap { get; private set; } = [];

    /// <summary>Whether a space is put in front of a text.</summary>
    public bool AddsPrefix { get; private set; } = true;

    /// <summary>Whether spaces at the ends go and several become one.</summary>
    public bool RemovesExtraSpaces { get; private set; } = true;

    /// <summary>The id of the piece of a type; -1 where there is none.</summary>
    public int IndexOf(PieceType type) => Pieces.FindIndex(piece => piece.Type == type);

    /// <summary>Parses <paramref name="bytes"/>; messages begin with <paramref name="where"/>.</summary>
    /// <exception cref="InputException">Damaged, or of a kind that cannot be used.</exception>
    public static SentencePieceFile Parse(ReadOnlySpan<byte> bytes, string where)
    {
        SentencePieceFile file = new(where);
        int modelType = 1;
        ProtoReader reader = new(bytes, where);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    if (file.Pieces.Count == MaxPieces) throw new InputException($"{where}: more than {MaxPieces} pieces");
                    file.Pieces.Add(file.ReadPiece(reader.Message()));
                    break;
                case 2:
                    modelType = file.ReadTrainer(reader.Message());
                    break;
                case 3:
                    file.ReadNormalizer(reader.Message());
                    break;
            }
        }

        if (file.Pieces.Count == 0) throw new InputException($"{where}: the model has no pieces");
        if (modelType is not (1 or 2)) throw new InputException($"{where}: the model is of the kind {(modelType == 3 ? "word" : modelType == 4 ? "char" : $"{modelType}")}, which is not supported; unigram and bpe are");
        file.IsBpe = modelType == 2;
        return file;
    }

    private Piece ReadPiece(ProtoReader reader)
    {
        string? text = null;
        float score = 0;
        PieceType type = PieceType.Normal;
        while (reader.Next())
        {
            if (reader.Field == 1) text = reader.Text();
            else if (reader.Field == 2) score = reader.Float();
            else if (reader.Field == 3) type = (PieceType)reader.Int();
        }

        if (string.IsNullOrEmpty(text) || !float.IsFinite(score)) throw new InputException($"{_where}: piece {Pieces.Count} has no text or no finite score");
        return new(text, score, type);
    }

    private int ReadTrainer(ProtoReader reader)
    {
        int type = 1;
        while (reader.Next())
        {
            if (reader.Field == 3) type = reader.Int();
            else if (reader.Field == 24 && reader.Int() != 0) throw new InputException($"{_where}: treat_whitespace_as_suffix is set, which is not supported");
        }

        return type;
    }

    private void ReadNormalizer(ProtoReader reader)
    {
        while (reader.Next())
        {
            if (reader.Field == 2) CharacterMap = reader.Bytes().ToArray();
            else if (reader.Field == 3) AddsPrefix = reader.Int() != 0;
            else if (reader.Field == 4) RemovesExtraSpaces = reader.Int() != 0;
            else if (reader.Field == 5 && reader.Int() == 0) throw new InputException($"{_where}: escape_whitespaces is off, which is not supported");
        }
    }

    /// <summary>The wire format of protocol buffers, field by field; unknown fields are passed over.</summary>
    private ref struct ProtoReader(ReadOnlySpan<byte> bytes, string where)
    {
        private readonly ReadOnlySpan<byte> _all = bytes;
        private ReadOnlySpan<byte> _value;
        private ulong _number;
        private int _at, _wire;

        /// <summary>The number of the current field.</summary>
        public int Field { get; private set; }

        /// <summary>Moves on; false at the end.</summary>
        public bool Next()
        {
            if (_at == _all.Length) return false;
            ulong key = Varint();
            _wire = (int)(key & 7);
            Field = key >> 3 <= int.MaxValue ? (int)(key >> 3) : throw Bad();
            switch (_wire)
            {
                case 0:
                    _number = Varint();
                    break;
                case 1:
                    _value = Take(8);
                    break;
                case 2:
                    _value = Take(Varint());
                    break;
                case 5:
                    _value = Take(4);
                    break;
                default:
                    throw Bad();
            }

            return true;
        }

        public readonly ProtoReader Message() => new(Bytes(), where);

        public readonly ReadOnlySpan<byte> Bytes() => _wire == 2 ? _value : throw Bad();

        public readonly string Text() => System.Text.Unicode.Utf8.IsValid(Bytes()) ? System.Text.Encoding.UTF8.GetString(_value) : throw Bad();

        public readonly float Float() => _wire == 5 ? BinaryPrimitives.ReadSingleLittleEndian(_value) : throw Bad();

        public readonly int Int() => _wire == 0 && _number <= int.MaxValue ? (int)_number : throw Bad();

        private ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; shift < 64; shift += 7)
            {
                byte b = Take(1)[0];
                value |= (ulong)(b & 0x7F) << shift;
                if (b < 0x80) return value;
            }

            throw Bad();
        }

        private ReadOnlySpan<byte> Take(ulong count)
        {
            if (count > (ulong)(_all.Length - _at)) throw Bad();
            ReadOnlySpan<byte> taken = _all.Slice(_at, (int)count);
            _at += (int)count;
            return taken;
        }

        private readonly InputException Bad() => new($"{where}: damaged at byte {_at} of a message of {_all.Length}; this is no SentencePiece model, copy it again");
    }
}
