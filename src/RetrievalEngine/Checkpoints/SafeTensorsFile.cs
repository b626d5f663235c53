using System.Buffers.Binary;
using System.Collections.Generic;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// A safetensors file: 8 bytes header length (little endian), a JSON header, then the tensors' bytes (https://github.com/huggingface/safetensors).
/// Opening checks the whole
/// header.
/// </summary>
public sealed class SafeTensorsFile : TensorFile
{
    private SafeTensorsFile(MappedFile file, SafeTensorsHeader header)
        : base(file, header.Tensors) => Metadata = header.Metadata;

    /// <summary>The <c>__metadata__</c> of the header.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens and checks <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is absent, truncated, or its header does not describe it.</exception>
    public static new SafeTensorsFile Open(string path)
    {
        MappedFile file = Map(path);
        try
        {
            if (file.Length < sizeof(ulong))
                throw new InputException($"{path}: {file.Length} bytes are no safetensors file; it is truncated, copy it again");
            ulong length = BinaryPrimitives.ReadUInt64LittleEndian(file.Bytes(0, sizeof(ulong)));
            if (length > SafeTensorsHeader.MaxLength)
                throw new InputException($"{path}: a header of {length} bytes, more than the format allows; this is no safetensors file");
            if ((long)length > file.Length - sizeof(ulong))
                throw new InputException($"{path}: truncated: the header has {length} bytes but the file {file.Length}; copy it again");
            SafeTensorsHeader header = SafeTensorsHeader.Parse(file.Bytes(sizeof(ulong), (int)length), path, file.Length);
            return new SafeTensorsFile(file, header);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }
}
