using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using RetrievalEngine.Compute;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Checkpoints;

/// <summary>
/// A dictionary of tensors that <c>torch.save</c> wrote (<c>pytorch_model.bin</c>, <c>adapter_model.bin</c>): a zip archive whose <c>data.pkl</c>
/// says what tensors there are and whose
/// <c>data/N</c> hold their numbers; or, of PyTorch before 1.6, the same behind each other without the zip. Nothing in the file is executed (<see
/// cref="PickleReader"/>).
/// </summary>
public sealed class TorchFile : TensorFile
{
    /// <summary>The file of a checkpoint that is not sharded.</summary>
    public const string CheckpointFile = "pytorch_model.bin";

    /// <summary>The file of an adapter's weights.</summary>
    public const string AdapterFile = "adapter_model.bin";

    private const int MaxPickleBytes = 256 << 20, MaxRank = 4;
    private const string Pickle = "data.pkl";

    // torch.save began files with this number as a pickle (protocol 2, LONG1 of ten bytes, STOP) until 1.6.
    private static ReadOnlySpan<byte> OldMagic => [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.'];

    private TorchFile(MappedFile file, Dictionary<string, StoredTensor> tensors)
        : base(file, tensors)
    {
    }

    /// <summary>Opens and checks <paramref name="path"/>.</summary>
    /// <exception cref="InputException">It is absent, damaged, or holds anything but tensors.</exception>
    public static new TorchFile Open(string path)
    {
        MappedFile file = Map(path);
        try
        {
            bool isOld = file.Length >= OldMagic.Length && file.Bytes(0, OldMagic.Length).SequenceEqual(OldMagic);
            (object? root, Dictionary<string, (long Offset, long Length)> storages) = isOld ? ReadOld(file) : ReadZip(file);
            return new TorchFile(file, LocateAll(path, root, storages));
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static (object? Root, Dictionary<string, (long Offset, long Length)> Storages) ReadZip(MappedFile file)
    {
        if (file.Length < 4 || BinaryPrimitives.ReadUInt32LittleEndian(file.Bytes(0, 4)) != 0x04034b50)
            throw new InputException($"{file.Path}: this is no file of torch.save (no zip archive); it is damaged, copy it again");
        Dictionary<string, (long Offset, long Length)> entries = ZipDirectory.Read(file).Entries;
        string[] pickles = [.. entries.Keys.Where(name => name.EndsWith("/" + Pickle, StringComparison.Ordinal))];
        if (pickles.Length != 1) throw new InputException($"{file.Path}: the archive has {pickles.Length} entries {Pickle} where one is needed");
        string root = pickles[0][..^Pickle.Length];
        if (entries.TryGetValue(root + "byteorder", out (long Offset, long Length) order) && !file.Bytes(order.Offset, (int)Math.Min(order.Length, 16)).SequenceEqual("little"u8))
            throw new InputException($"{file.Path}: the numbers are stored big end first, which is not supported");
        (long offset, long length) = entries[pickles[0]];
        if (length > MaxPickleBytes) throw new InputException($"{file.Path}: {Pickle} has {length} bytes, more than {MaxPickleBytes}");
        PickleReader pickle = new(file.Bytes(offset, (int)length), file.Path);
        string data = root + "data/";
        return (pickle.Read(), entries.Where(pair => pair.Key.StartsWith(data, StringComparison.Ordinal)).ToDictionary(pair => pair.Key[data.Length..], pair => pair.Value, StringComparer.Ordinal));
    }

    /// <summary>Magic number, protocol, facts of the system, the dictionary, the list of storages, then for each storage its count and its numbers.</summary>
    private static (object? Root, Dictionary<string, (long Offset, long Length)> Storages) ReadOld(MappedFile file)
    {
        PickleReader pickle = new(file.Bytes(0, (int)Math.Min(file.Length, MaxPickleBytes)), file.Path);
        pickle.Read();
        if (pickle.Read() is not 1001L) throw new InputException($"{file.Path}: this is no file of torch.save that is known (its protocol is not 1001)");
        if (pickle.Read() is not PickledDictionary system || system.Values.GetValueOrDefault("little_endian") is not true)
            throw new InputException($"{file.Path}: the numbers are stored big end first, which is not supported");
        object? root = pickle.Read();
        if (pickle.Read() is not List<object?> keys) throw new InputException($"{file.Path}: the list of storages is missing; the file is damaged");
        Dictionary<string, long> sizes = new(StringComparer.Ordinal);
        foreach (PickledTensor tensor in Dictionary(file.Path, root).Values.Values.OfType<PickledTensor>())
            sizes[tensor.Storage.Key] = TensorTypes.Size(tensor.Storage.StoredType);
        Dictionary<string, (long Offset, long Length)> storages = new(StringComparer.Ordinal);
        long at = pickle.Position;
        foreach (object? key in keys)
        {
            if (key is not string name || !sizes.TryGetValue(name, out long size)) throw new InputException($"{file.Path}: a storage is listed that no tensor uses");
            if (at > file.Length - sizeof(long)) throw new InputException($"{file.Path}: truncated before the storage {name}; copy it again");
            long count = BinaryPrimitives.ReadInt64LittleEndian(file.Bytes(at, sizeof(long)));
            at += sizeof(long);
            if (count < 0 || count > (file.Length - at) / size) throw new InputException($"{file.Path}: truncated within the storage {name}; copy it again");
            storages[name] = (at, count * size);
            at += count * size;
        }

        return (root, storages);
    }

    private static Dictionary<string, StoredTensor> LocateAll(string path, object? root, Dictionary<string, (long Offset, long Length)> storages)
    {
        Dictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
        foreach ((object key, object? value) in Dictionary(path, root).Values)
        {
            if (key is not string name) throw new InputException($"{path}: the dictionary has a key that is no name");
            if (value is not PickledTensor tensor) throw new InputException($"{path}: \"{name}\" is no tensor; only a dictionary of tensors is read");
            tensors.Add(name, Locate(path, name, tensor, storages));
        }

        return tensors;
    }

    private static PickledDictionary Dictionary(string path, object? root) =>
        root as PickledDictionary ?? throw new InputException($"{path}: this holds no dictionary of tensors");

    private static StoredTensor Locate(string path, string name, PickledTensor tensor, Dictionary<string, (long Offset, long Length)> storages)
    {
        if (!storages.TryGetValue(tensor.Storage.Key, out (long Offset, long Length) storage))
            throw new InputException($"{path}: tensor \"{name}\": its storage {tensor.Storage.Key} is missing");
        if (tensor.Sizes.Length > MaxRank) throw new InputException($"{path}: tensor \"{name}\" has {tensor.Sizes.Length} dimensions, more than {MaxRank}");
        long size = TensorTypes.Size(tensor.Storage.StoredType), count = 1;
        for (int i = tensor.Sizes.Length - 1; i >= 0; i--)
        {
            if (tensor.Sizes[i] > 1 && tensor.Strides[i] != count && count > 0)
                throw new InputException($"{path}: tensor \"{name}\" is a transposed or strided view; save it with .contiguous()");
            if (tensor.Sizes[i] != 0 && count > long.MaxValue / 8 / tensor.Sizes[i]) throw new InputException($"{path}: tensor \"{name}\" is too large");
            count *= tensor.Sizes[i];
        }

        if (tensor.Offset > storage.Length / size || count > storage.Length / size - tensor.Offset)
            throw new InputException($"{path}: tensor \"{name}\" ends beyond its storage {tensor.Storage.Key} of {storage.Length} bytes");
        return new StoredTensor(name, tensor.Storage.StoredType, new Shape(tensor.Sizes), storage.Offset + (tensor.Offset * size), count * size);
    }
}
