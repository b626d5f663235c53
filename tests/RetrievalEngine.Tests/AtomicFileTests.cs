using System;
using System.IO;
using NUnit.Framework;

namespace RetrievalEngine.Tests;

internal sealed class AtomicFileTests
{
    private TempFolder _folder = null!;

    [SetUp]
    public void SetUp() => _folder = new TempFolder();

    [TearDown]
    public void TearDown() => _folder.Dispose();

    [Test]
    public void CreateFolder_AppearsWhenFilled()
    {
        string target = _folder.File("out");
        Directory.CreateDirectory(target + AtomicFile.PartialSuffix);
        _folder.Write("out.partial/left-over", "of a crash");
        AtomicFile.CreateFolder(target, partial =>
        {
            Assert.That(Directory.Exists(target), Is.False);
            AtomicFile.Write(Path.Combine(partial, "a"), stream => stream.Write("x"u8));
        });
        Assert.Multiple(() =>
        {
            Assert.That(Directory.GetFileSystemEntries(_folder.Path), Is.EqualTo(new[] { target }));
            Assert.That(Directory.GetFiles(target), Is.EqualTo(new[] { Path.Combine(target, "a") }));
        });
    }

    [Test]
    public void CreateFolder_Fails_LeavesNothing()
    {
        string target = _folder.File("out");
        Assert.Multiple(() =>
        {
            Assert.That(() => AtomicFile.CreateFolder(target, _ => throw new IOException("No space left on device")),
                Throws.TypeOf<InputException>().With.Message.Contains("out cannot be written: No space"));
            Assert.That(() => AtomicFile.CreateFolder(target, _ => throw new OperationCanceledException()),
                Throws.TypeOf<OperationCanceledException>());
            Assert.That(Directory.GetFileSystemEntries(_folder.Path), Is.Empty);
        });
    }

    [Test]
    public void CreateFolder_NotEmptyOrAFile_IsRefusedAndUntouched()
    {
        _folder.Write("full/a", "a");
        _folder.Write("file", "a");
        Directory.CreateDirectory(_folder.File("empty"));
        AtomicFile.CreateFolder(_folder.File("empty"), _ => { });
        Assert.Multiple(() =>
        {
            Assert.That(() => AtomicFile.CreateFolder(_folder.File("full"), _ => { }),
                Throws.TypeOf<InputException>().With.Message.Contains("is not empty"));
            Assert.That(() => AtomicFile.CreateFolder(_folder.File("file"), _ => { }),
                Throws.TypeOf<InputException>().With.Message.Contains("is a file"));
            Assert.That(File.Exists(_folder.File("full/a")), Is.True);
        });
    }

    [Test]
    public void Write_WhereNothingCanBeWritten_SaysSo() => Assert.That(
        () => AtomicFile.Write("/proc/absent/file", stream => stream.WriteByte(1)),
        Throws.TypeOf<InputException>().With.Message.Contains("/proc/absent/file cannot be written"));
}
